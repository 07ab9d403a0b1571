package azuredevopstest

func policyRoutes() []route {
	return []route{
		{method: "GET", pattern: "/{project}/_apis/git/policy/configurations", handler: listBranchPolicies},
		{method: "GET", pattern: "/{project}/_apis/policy/configurations", handler: listPolicies},
		{method: "GET", pattern: "/{project}/_apis/policy/configurations/{policy}", handler: getPolicy},
		{method: "GET", pattern: "/{project}/_apis/policy/types", handler: listPolicyTypes},
	}
}

// listBranchPolicies filters by repository and branch, and pages only when $top
// is sent.
//
// https://learn.microsoft.com/rest/api/azure/devops/git/policy-configurations/get
func listBranchPolicies(q *request) *response {
	var list []*Policy
	for _, c := range q.project.Policies {
		if c.applies(q.get("repositoryid"), q.get("refname")) && (q.get("policytype") == "" || c.typeID() == q.get("policytype")) {
			list = append(list, c)
		}
	}
	return paged(q, list, len(list), (*Policy).json)
}

func listPolicies(q *request) *response {
	return paged(q, q.project.Policies, len(q.project.Policies), (*Policy).json)
}

func getPolicy(q *request) *response {
	for _, c := range q.project.Policies {
		if c.ID == q.number("policy") {
			return ok(c.json())
		}
	}
	return notFound("Microsoft.TeamFoundation.Policy.Server.PolicyConfigurationNotFoundException",
		"TF402463: The policy configuration "+q.param("policy")+" was not found.")
}

func listPolicyTypes(q *request) *response {
	seen := map[string]bool{}
	var list []object
	for _, c := range q.project.Policies {
		if !seen[c.Type] {
			seen[c.Type] = true
			list = append(list, c.typeJSON())
		}
	}
	return collection(list, itself)
}
