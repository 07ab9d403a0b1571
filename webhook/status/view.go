package status

import (
	"fmt"
	"time"
)

// A view is what the page shows: the document and the other sections, by the names that
// they have as JSON.
type view struct {
	Now     time.Time `json:"now"`
	Started time.Time `json:"started"`
	Build   struct {
		Version, Commit, Go string
	} `json:"build"`
	StateDirectory State       `json:"stateDirectory"`
	Port           health      `json:"port"`
	Organizations  []health    `json:"organizations"`
	Queue          queue       `json:"queue"`
	Hooks          []hookState `json:"hooks"`
	Resync         resyncs     `json:"resync"`
	Live           []minute    `json:"live"`  // oldest first
	Audit          []change    `json:"audit"` // newest first; nil: it is off
	DeadLetters    letters     `json:"deadLetters"`
	Config         []setting   `json:"config"`
	Actions        *actions    `json:"actions"`
	Replica        *replica    `json:"replica"`      // nil: this process is alone
	Storage        *storage    `json:"storageQueue"` // nil: events are posted
	Demo           *demo       `json:"demo"`

	Token    string `json:"-"`
	Notice   string `json:"-"`
	Redrives bool   `json:"-"`
}

// health is how Port or an organization answers.
type health struct {
	Organization string    `json:"organization"`
	State        string    `json:"state"`
	Since        time.Time `json:"since"`
	CredentialOK bool      `json:"credentialOk"`
	LastError    string    `json:"lastError"`
	LastErrorAt  time.Time `json:"lastErrorAt"`
}

type queue struct {
	Kind          string  `json:"kind"`
	Usable        bool    `json:"usable"`
	Error         string  `json:"error"`
	Depth         *int64  `json:"depth"` // nil: not known
	OldestSeconds float64 `json:"oldestSeconds"`
	Working       int64   `json:"workingObjects"`
	Delayed       int64   `json:"delayedObjects"`
	DeadLetters   *int64  `json:"deadLetters"` // nil: not known
	SharedDepth   *int64  `json:"sharedDepth"` // nil: not known
	ToMove        *struct {
		Deliveries  int64 `json:"deliveries"`
		DeadLetters int64 `json:"deadLetters"`
	} `json:"toMove"` // from the state directory into Redis; nil: nothing
}

// replica is the group of processes that share a Redis, as this one sees it.
type replica struct {
	Usable  bool             `json:"usable"`
	Since   time.Time        `json:"since"`
	Error   string           `json:"error"`
	Name    string           `json:"name"`
	Leads   string           `json:"leads"`
	Leader  bool             `json:"leader"`
	Members int64            `json:"members"`
	Seats   map[string]int64 `json:"seats"`
}

// partition is what the seats are for that are parts of the queue.
const partition = "partition"

// storage is the storage queue that events come through.
type storage struct {
	URL         string    `json:"url"`
	Activity    string    `json:"activity"`
	State       string    `json:"state"`
	Since       time.Time `json:"since"`
	LastRead    time.Time `json:"lastRead"`
	Received    int64     `json:"received"`
	Poisoned    int64     `json:"poisoned"`
	LastError   string    `json:"lastError"`
	LastErrorAt time.Time `json:"lastErrorAt"`
	Held        string    `json:"held"`
}

// Away says that this process tries to read the queue and cannot.
func (s *storage) Away() bool { return s.State == "unreachable" && s.Activity != notReading }

// notReading is the activity of a process that leaves the queue to another one.
const notReading = "not reading"

type hookState struct {
	Organization  string           `json:"organization"`
	Subscriptions map[string]int64 `json:"subscriptions"`
	Looked        time.Time        `json:"looked"`
	Refused       []string         `json:"refused"`
	Unknown       []struct {
		What, Error string
	} `json:"unknown"`
	Error string `json:"error"`
}

type resyncs struct {
	Running     *running  `json:"running"`
	Last        *ended    `json:"last"`
	Recent      []ended   `json:"recent"` // newest first
	LastSuccess time.Time `json:"lastSuccess"`
	Next        time.Time `json:"next"`
}

type counts struct {
	Listed, Mapped, Filtered, Failed, Unknown, Written, Unchanged, Merged, Refused, Kept, Deleted, Incomplete int64
}

type running struct {
	ID               string    `json:"id"`
	Cause            string    `json:"cause"`
	Mode             string    `json:"mode"`
	Started          time.Time `json:"started"`
	ThrottledSeconds float64   `json:"throttledSeconds"`
	Kinds            []struct {
		Resource string `json:"resource"`
		State    string `json:"state"`
		Counts   counts `json:"counts"`
		Projects []struct {
			Project string `json:"project"`
			Counts  counts `json:"counts"`
		} `json:"projects"`
		MoreProjects int `json:"moreProjects"`
	} `json:"kinds"`
}

// ended is a resync that has ended.
type ended struct {
	ID               string    `json:"id"`
	Cause            string    `json:"cause"`
	Mode             string    `json:"mode"`
	State            string    `json:"state"`
	Reason           string    `json:"reason"`
	Started          time.Time `json:"started"`
	Ended            time.Time `json:"ended"`
	DurationSeconds  float64   `json:"durationSeconds"`
	ThrottledSeconds float64   `json:"throttledSeconds"`
	Total            counts    `json:"total"`
	RecordsOf        time.Time `json:"recordsOf"` // a changed mapping was applied to what was read then
	Calls            int64     `json:"calls"`
	PortCalls        int64     `json:"portCalls"`
	Kinds            []struct {
		Resource, Kind, FirstError string
		Counts                     counts
		Complete                   bool
	} `json:"kinds"`
	Unread []struct {
		Resources     []string
		Scope, Reason string
		Records       int64
	} `json:"unread"`
	Refused []struct {
		Blueprint, Sample, Reason string
		Entities                  int64
	} `json:"refused"`
	Rejected    []string         `json:"rejected"`
	LeftOut     []string         `json:"leftOut"`
	Expressions []string         `json:"expressions"`
	Empty       []string         `json:"empty"`
	Problems    []string         `json:"problems"`
	Unwritten   map[string]int64 `json:"unwritten"`
	NotDeleted  []struct {
		Blueprint, Sample, Hold, Reason string
		Entities                        int64
	} `json:"notDeleted"`
}

// Bad says that somebody should look at it.
func (e *ended) Bad() bool { return e.State != "completed" }

type change struct {
	Time       time.Time `json:"time"`
	Action     string    `json:"action"`
	Blueprint  string    `json:"blueprint"`
	Identifier string    `json:"identifier"`
	Cause      string    `json:"cause"`
	EventType  string    `json:"eventType"`
	Members    []string  `json:"members"`
	Proof      string    `json:"proof"`
}

// letters are dead letters, or why they cannot be listed.
type letters struct {
	Oldest []letter `json:"oldest"`
	Error  string   `json:"error"`
}

type letter struct {
	ID        uint64    `json:"id"`
	EventType string    `json:"eventType"`
	Key       string    `json:"key"`
	Received  time.Time `json:"received"`
	Died      time.Time `json:"died"`
	Attempts  int       `json:"attempts"`
	Reason    string    `json:"reason"`
}

type setting struct {
	Variable string `json:"variable"`
	Value    string `json:"value"`
	Origin   string `json:"origin"`
	Secret   bool   `json:"secret"`
}

// Set says that somebody has decided about it.
func (s setting) Set() bool { return s.Origin != "" && s.Origin != "default" }

// actions are the self-service actions of Port.
type actions struct {
	Claims    bool  `json:"claims"`
	Waiting   int64 `json:"waiting"`
	InFlight  int64 `json:"inFlight"`
	Done      int64 `json:"done"`
	Failed    int64 `json:"failed"`
	Canceled  int64 `json:"canceled"`
	LastClaim struct {
		Error string `json:"error"`
	} `json:"lastClaim"`
	Runs []struct {
		ID, Action, State string
		Since             time.Time
	} `json:"runs"`
}

// demo is what the demo adds.
type demo struct {
	Buttons []struct {
		Name, Label, Hint string
		On                bool
	} `json:"buttons"`
	Changes []struct {
		At           time.Time
		What, Result string
		Waits        bool
	} `json:"changes"` // newest first
}

// A Problem is what somebody should look at, and where on the page there is more.
type problem struct{ Text, Anchor string }

// AuditOff says that there is no audit.
func (v *view) AuditOff() bool { return v.Audit == nil }

// Problems are all of them.
func (v *view) Problems() (out []problem) {
	add := func(anchor, format string, args ...any) {
		out = append(out, problem{fmt.Sprintf(format, args...), anchor})
	}
	of := func(name string, h *health) {
		if h.State == "unreachable" {
			add("now", "%s does not answer since %s: %s", name, clock(h.Since), h.LastError)
		}
		if h.State != "" && !h.CredentialOK {
			add("now", "%s refuses the credential", name)
		}
	}
	for i := range v.Organizations {
		of(v.Organizations[i].Organization, &v.Organizations[i])
	}
	of("Port", &v.Port)
	if v.StateDirectory.Kind != "" && !v.StateDirectory.Usable {
		add("now", "the state directory cannot be used: %s", v.StateDirectory.Error)
	}
	if v.Queue.Kind != "" && !v.Queue.Usable {
		add("live", "deliveries cannot be stored: %s", v.Queue.Error)
	}
	if last := v.Resync.Last; last != nil && last.Bad() {
		add("kinds", "the last resync %s: %s", last.State, last.Reason)
	}
	if last := v.Resync.Last; last != nil && len(last.Expressions) > 0 {
		add("expressions", "expressions of the mapping fail: %d", len(last.Expressions))
	}
	if v.Queue.Delayed > 0 {
		add("live", "deliveries of %d objects failed and are tried again", v.Queue.Delayed)
	}
	if n := v.Queue.DeadLetters; n != nil && *n > 0 {
		add("dead-letters", "deliveries that were given up: %d", *n)
	}
	if r := v.Replica; r != nil && !r.Usable {
		add("replica", "Redis cannot be used since %s: %s", clock(r.Since), r.Error)
	}
	if s := v.Storage; s != nil && s.Away() {
		add("storage-queue", "the storage queue cannot be read since %s: %s", clock(s.Since), s.LastError)
	}
	if s := v.Storage; s != nil && s.Held != "" {
		add("storage-queue", "events stay in the storage queue until they can be stored here: %s", s.Held)
	}
	if v.Actions != nil && v.Actions.LastClaim.Error != "" {
		add("actions", "runs of self-service actions cannot be claimed: %s", v.Actions.LastClaim.Error)
	}
	for i := range v.Hooks {
		h := &v.Hooks[i]
		if h.Error != "" {
			add("hooks", "the subscriptions of %s could not be looked after: %s", h.Organization, h.Error)
		} else if n := len(h.Refused); n > 0 {
			add("hooks", "subscriptions that %s refused: %d", h.Organization, n)
		}
	}
	return out
}

// clock is a time of today for people.
func clock(t time.Time) string { return t.UTC().Format(time.TimeOnly + " UTC") }

// follows says that another process runs resyncs and looks after the subscriptions, so
// that its page has them.
func (v *view) follows() bool { return v.Replica != nil && !v.Replica.Leader }

// State is the page in a word or two, for its title.
func (v *view) State() string {
	switch {
	case len(v.Problems()) > 0:
		return "needs attention"
	case v.Resync.Running != nil:
		return "resync runs"
	case v.Resync.Last == nil && v.follows():
		return "another process leads"
	case v.Resync.Last == nil:
		return "no resync yet"
	}
	return "in step"
}
