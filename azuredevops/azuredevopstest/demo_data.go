package azuredevopstest

// demoPeople are the names of everybody in the demo organization.
func demoPeople() []string {
	return []string{
		"Amara Okafor", "Björn Lindqvist", "Chiara Romano", "Daniel Weiss", "Elif Yıldız", "Farah Haddad",
		"Gustavo Pereira", "Hannah O'Neill", "Isaac Mensah", "Jana Novotná", "Kenji Watanabe", "Lucía Fernández",
		"Mateusz Kowalski", "Nadia Benali", "Oliver Grant", "Priya Raghavan", "Quentin Lefèvre", "Rosa Martínez",
		"Samir Patel", "Tove Andersen", "Uma Krishnan", "Viktor Horváth", "Wei Zhang", "Yara Cohen",
	}
}

// A demoProject describes a project of the demo organization.
type demoProject struct {
	name, description, process string
	teams                      []string
	tags                       []string
	repos                      []demoRepo
	subjects                   []string // what its work items are about
	releases                   []string // classic release pipelines
}

// A demoRepo is a repository; its kind decides its files and pipelines.
type demoRepo struct{ name, kind, about string }

func demoProjects() []demoProject {
	return []demoProject{
		{
			name: "Storefront", description: "Web shop, mobile apps and everything customers see.", process: "Agile",
			teams: []string{"Browse & Search", "Checkout", "Mobile"}, tags: []string{"customer-facing"},
			repos: []demoRepo{
				{"storefront-web", "node", "Server-rendered web shop."},
				{"storefront-bff", "go", "Backend for the web shop and the apps."},
				{"search-service", "java", "Product search with facets and synonyms."},
				{"checkout-web", "node", "Cart and checkout pages."},
				{"ios-app", "swift", "Shop app for iPhone and iPad."},
				{"android-app", "kotlin", "Shop app for Android."},
				{"design-system", "node", "Components and tokens shared by all front ends."},
				{"legacy-webshop", "disabled", "The shop before 2021."},
			},
			subjects: []string{"product pages", "the cart", "guest checkout", "search suggestions", "wish lists", "gift cards", "size guides", "recently viewed products", "push notifications", "the store locator"},
			releases: []string{"Storefront production"},
		},
		{
			name: "Payments", description: "Taking, refunding and reconciling money.", process: "Scrum",
			teams: []string{"Card Payments", "Reconciliation"}, tags: []string{"pci", "tier-1"},
			repos: []demoRepo{
				{"payments-api", "go", "Public API of the payments domain."},
				{"payment-gateway", "java", "Adapters for acquirers and wallets."},
				{"fraud-scoring", "python", "Risk score for every order."},
				{"ledger", "go", "Double-entry ledger of all movements."},
				{"reconciliation-jobs", "python", "Nightly matching of bank statements."},
				{"pci-vault", "go", "Tokenization of card numbers."},
			},
			subjects: []string{"refunds", "chargebacks", "card tokens", "3-D Secure", "payout schedules", "invoice exports", "currency rounding", "fraud rules", "dunning letters", "bank statements"},
			releases: []string{"Payments API", "Vault"},
		},
		{
			name: "Logistics", description: "Warehouses, carriers and delivery promises.", process: "Agile",
			teams: []string{"Warehouse", "Last Mile"},
			repos: []demoRepo{
				{"warehouse-management", "java", "Stock, picking and packing."},
				{"carrier-adapters", "go", "Labels and tracking for twelve carriers."},
				{"delivery-promise", "go", "Computes the date that the shop may promise."},
				{"route-planner", "python", "Tours of our own vans."},
				{"handheld-app", "kotlin", "Scanner app for pickers."},
				{"label-printer-drivers", "empty", "Firmware settings of label printers."},
			},
			subjects: []string{"pick lists", "shipping labels", "returns", "carrier tracking", "stock corrections", "delivery windows", "van routes", "inventory counts", "dangerous goods", "parcel lockers"},
			releases: []string{"Warehouse rollout"},
		},
		{
			name: "Customer Platform", description: "Accounts, consent, loyalty and support tools.", process: "Agile",
			teams: []string{"Identity", "Loyalty"},
			repos: []demoRepo{
				{"identity-service", "go", "Sign-in, sessions and passkeys."},
				{"consent-service", "java", "Who agreed to what, and when."},
				{"loyalty-engine", "java", "Points, tiers and rewards."},
				{"support-console", "node", "One page for support agents."},
				{"notification-service", "go", "E-mail, SMS and push."},
				{"customer-profile-api", "go", "One profile for a customer."},
			},
			subjects: []string{"passkeys", "sign-in sessions", "consent records", "loyalty points", "support tickets", "newsletters", "profile merges", "address books", "account deletion", "reward tiers"},
		},
		{
			name: "Data & Analytics", description: "Warehouse, reports and machine learning.", process: "Basic",
			teams: []string{"Data Engineering", "ML Platform"},
			repos: []demoRepo{
				{"ingest-pipelines", "python", "Loads events and tables into the lake."},
				{"dbt-models", "python", "Models of the warehouse."},
				{"feature-store", "python", "Features for training and serving."},
				{"recommendations", "python", "Product recommendations."},
				{"metrics-catalog", "node", "What each figure means and who owns it."},
				{"notebooks", "python", "Explorations. Nothing here runs in production."},
			},
			subjects: []string{"order events", "the revenue report", "feature freshness", "recommendation models", "data contracts", "late arriving facts", "personal data masking", "the churn model", "dashboard access", "table retention"},
		},
		{
			name: "Developer Platform", description: "Paved road: clusters, pipelines and observability.", process: "Agile",
			teams: []string{"Runtime", "Build & Release"}, tags: []string{"internal"},
			repos: []demoRepo{
				{"cluster-config", "terraform", "Kubernetes clusters and their add-ons."},
				{"pipeline-templates", "yaml", "Templates that every pipeline extends."},
				{"service-template", "go", "Start of every new service."},
				{"observability-stack", "terraform", "Metrics, logs and traces."},
				{"secrets-operator", "go", "Brings secrets from the vault into pods."},
				{"developer-portal-config", "yaml", "Blueprints and mappings of the portal."},
				{"incident-bot", "python", "Opens channels and timelines."},
				{"infra-sandbox", "plain", ""},
			},
			subjects: []string{"cluster upgrades", "build agents", "pipeline templates", "trace sampling", "secret rotation", "preview environments", "cost reports", "on-call handover", "golden images", "the service catalog"},
			releases: []string{"Cluster add-ons"},
		},
	}
}

// demoTitles are patterns of titles by the rank of the type: the requirement,
// the bug, the task, and the wide ones.
func demoTitles() map[string][]string {
	story := []string{
		"Export %s as CSV", "Show the history of %s", "Bulk actions for %s", "Search and filter %s", "Audit log for %s",
		"Self-service page for %s", "Permissions for %s per role", "Weekly e-mail summary of %s", "Four-eyes approval for %s",
		"Archive %s after 13 months", "Public API for %s", "Dashboard for %s", "Translations for %s",
	}
	bug := []string{
		"Timeout when loading %s", "Duplicate rows in %s", "HTTP 500 when saving %s without a description", "Stale cache shows old %s",
		"Paging of %s skips the last page", "Memory grows while importing %s", "Lost update when two people edit %s",
		"Umlauts are broken in %s", "Wrong time zone in %s", "Dark mode makes %s unreadable",
	}
	task := []string{
		"Contract tests for %s", "Metrics and alerts for %s", "Runbook for %s", "Remove the feature flag of %s", "Load test %s",
		"Threat model for %s", "Split the module for %s", "Clean up test data of %s",
	}
	wide := []string{"Rework %s", "Scale %s to the peak season", "Next generation of %s"}
	return map[string][]string{
		"User Story": story, "Product Backlog Item": story, "Issue": story, "Bug": bug, "Task": task, "Feature": wide, "Epic": wide,
	}
}

// demoFiles are the files of a repository by its kind.
func demoFiles(r demoRepo, team string) Files {
	files := Files{
		"README.md":            "# " + r.name + "\n\n" + r.about + "\n\n## Getting started\n\n    make run\n\n## Owner\n\n" + team + ". Ask in #" + r.name + ".\n",
		"CODEOWNERS":           "# Reviewers of everything\n* @" + team + "\n/docs/ @technical-writers\n",
		"azure-pipelines.yml":  "trigger: [main]\nextends:\n  template: " + r.kind + ".yml@pipeline-templates\n",
		".editorconfig":        "root = true\n\n[*]\nend_of_line = lf\n",
		"docs/architecture.md": "# Architecture\n\n" + r.about + "\n\nDecisions are in docs/adr.\n",
		"docs/adr/0001.md":     "# 1. Record decisions\n\nAccepted.\n",
	}
	switch r.kind {
	case "node":
		files["package.json"] = "{\n  \"name\": \"@harborline/" + r.name + "\",\n  \"private\": true,\n  \"version\": \"4.2.0\"\n}\n"
		files["src/index.ts"] = "export * from \"./app\";\n"
	case "go":
		files["go.mod"] = "module harborline.example/" + r.name + "\n\ngo 1.26\n"
		files["main.go"] = "package main\n\nfunc main() {}\n"
	case "java", "kotlin":
		files["build.gradle.kts"] = "plugins { id(\"application\") }\n"
	case "python":
		files["pyproject.toml"] = "[project]\nname = \"" + r.name + "\"\nversion = \"1.8.0\"\n"
	case "terraform":
		files["main.tf"] = "terraform {\n  required_version = \">= 1.9\"\n}\n"
	case "plain":
		return Files{"notes.txt": "Nothing to see here.\n"}
	}
	return files
}
