package azuredevops

// environmentsOf asks for the environments of a project.
//
// https://learn.microsoft.com/rest/api/azure/devops/environments/environments/list
func environmentsOf(p *project) *request {
	return &request{Project: p.ID, Route: "_apis/distributedtask/environments", Query: []string{"$top", listTop}, Shared: true}
}
