package azuredevops

// ignoredDefaultTeam is the selector of the kinds that accept `defaultTeam`, check
// it and do nothing with it.
type ignoredDefaultTeam struct {
	DefaultTeam bool `json:"defaultTeam" ignored:"true"`
}
