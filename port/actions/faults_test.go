package actions_test

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ado-port/ado-port/azuredevops/azuredevopstest"
	"github.com/ado-port/ado-port/port/actions"
	"github.com/ado-port/ado-port/port/porttest"
)

// Whatever becomes of the request that starts a pipeline, the pipeline is started at
// most once, and Port hears what is known.
func TestFaultsOfAzureDevOpsAtTheStart(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault  *azuredevopstest.Fault
		builds int
		status string // after some minutes in which the pipeline succeeds
		says   string
	}{
		"asked to wait":             {azuredevopstest.RateLimited(startRoute, 40*time.Second).Times(2), 1, "SUCCESS", "asks to wait"},
		"429 without a time":        {azuredevopstest.Status(startRoute, http.StatusTooManyRequests).Times(2), 1, "SUCCESS", "asks to wait"},
		"throttled for good":        {azuredevopstest.Status(startRoute, http.StatusTooManyRequests), 0, "FAILURE", "TF400733"},
		"refused":                   {azuredevopstest.Answer(startRoute, 400, "application/json", `{"message":"bad pipeline"}`), 0, "FAILURE", "bad pipeline"},
		"no permission":             {azuredevopstest.Status(startRoute, http.StatusForbidden), 0, "FAILURE", "TF400813"},
		"not signed in":             {azuredevopstest.SignInHTML(startRoute), 0, "FAILURE", "could not be started"},
		"internal error":            {azuredevopstest.Status(startRoute, http.StatusInternalServerError), 0, "FAILURE", "it is not started again by itself"},
		"unavailable":               {azuredevopstest.Status(startRoute, http.StatusServiceUnavailable).Times(1), 0, "FAILURE", "No such run was found"},
		"reset":                     {azuredevopstest.Reset(startRoute), 0, "FAILURE", "it was started all the same"},
		"answer lost":               {azuredevopstest.LostAnswer(startRoute), 1, "SUCCESS", "Started pipeline"},
		"answer cut short":          {azuredevopstest.Truncate(startRoute), 1, "SUCCESS", "Started pipeline"},
		"answer malformed":          {azuredevopstest.Malformed(startRoute), 1, "SUCCESS", "Started pipeline"},
		"lost, and late to be seen": {azuredevopstest.LostAnswer(startRoute), 1, "SUCCESS", "Started pipeline"},
		"lost, and hard to see":     {azuredevopstest.LostAnswer(startRoute), 1, "SUCCESS", "Started pipeline"},
		"project list is down":      {azuredevopstest.Status("GET /_apis/projects/{project}", http.StatusInternalServerError), 0, "FAILURE", "project Store could not be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bench) {
				b.ado.Fault(tt.fault)
				if strings.Contains(name, "hard to see") {
					b.ado.Fault(azuredevopstest.Status("GET /{project}/_apis/build/builds", http.StatusBadGateway).Times(12))
				}
				if strings.Contains(name, "late to be seen") {
					b.ado.Fault(azuredevopstest.Answer("GET /{project}/_apis/build/builds", http.StatusOK, "application/json", `{"count":0,"value":[]}`).Times(4))
				}
				id := b.add(`,"templateParameters":{"env":"prod"}`)
				defer b.process()()
				b.after(10 * time.Minute)
				if build := b.builds(tt.builds); build != nil {
					b.known(id, build)
					build.Finish("succeeded")
				}
				b.after(5 * time.Minute)
				b.wants(id, tt.status)
				b.says(id, tt.says)
			})
		})
	}
}

// The log of a run says once that the start waits, however long that takes.
func TestWaitingForARateLimitDoesNotFillTheLog(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		b.ado.Fault(azuredevopstest.Headers("GET /_apis/projects/{project}").Header("X-RateLimit-Remaining", "0").Header("X-RateLimit-Reset", "946685000"))
		b.ado.Fault(azuredevopstest.RateLimited(startRoute, 5*time.Minute).Times(3))
		id := b.add("")
		defer b.process()()
		b.after(30 * time.Minute)
		b.known(id, b.builds(1))
		if logs := b.run(id).Logs; len(logs) != 3 {
			t.Errorf("the log is %q, want three lines", logs)
		}
	})
}

func TestFaultsOfPort(t *testing.T) {
	t.Parallel()
	status, link := isPatch("status"), isPatch("link")
	for name, rules := range map[string][]porttest.Rule{
		"claim fails":                 {porttest.Status("POST /v1/actions/runs/claim-pending", 500).Times(3)},
		"claim is cut":                {porttest.LostConnection("POST /v1/actions/runs/claim-pending").Times(1)},
		"claim is no JSON":            {porttest.Malformed("POST /v1/actions/runs/claim-pending").Times(1)},
		"tokens expire":               {porttest.ExpireTokens(ackRoute).Times(1), porttest.ExpireTokens(runRoute).Times(1)},
		"acknowledgement throttled":   {porttest.Status(ackRoute, 429).Header("Retry-After", "7").Times(1)},
		"acknowledgement fails":       {porttest.Status(ackRoute, 500).Times(4)},
		"acknowledgement reset":       {porttest.Reset(ackRoute).Times(2)},
		"answer to it lost":           {porttest.LostAnswer(ackRoute).Times(1)},
		"answer to it cut":            {porttest.LostConnection(ackRoute).Times(1)},
		"acknowledgement forbidden":   {porttest.Status(ackRoute, 403).Times(1)},
		"log fails":                   {porttest.Status(logRoute, 500)},
		"start cannot be told":        {porttest.Status(runRoute, 503).Times(20)},
		"answer to the start lost":    {porttest.LostAnswer(runRoute).When(link).Times(1)},
		"end cannot be told":          {porttest.Status(runRoute, 502).When(status).Times(20)},
		"answer to the end lost":      {porttest.LostAnswer(runRoute).When(status).Times(1)},
		"answer to the end cut":       {porttest.Truncate(runRoute).When(status).Times(1)},
		"end is throttled":            {porttest.Status(runRoute, 429).When(status).Times(3)},
		"the run cannot be looked up": {porttest.Status("GET /v1/actions/runs", 500).Times(5)},
		"the look-up is a page":       {porttest.HTML("GET /v1/actions/runs").Times(5)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bench) {
				b.port.Fault(rules...)
				id := b.add("")
				defer b.process()()
				b.after(20 * time.Minute)
				build := b.builds(1)
				b.known(id, build)
				build.Finish("succeeded")
				b.after(20 * time.Minute)
				b.wants(id, "SUCCESS")
				b.builds(1)
			})
		})
	}
}

// Port may refuse a link; the run is followed all the same.
func TestAStartThatPortRefusesIsFollowed(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		b.port.Fault(porttest.Status(runRoute, 422).When(isPatch("link")))
		id := b.add("")
		defer b.process()()
		b.after(time.Minute)
		if doc := string(b.run(id).Document); !strings.Contains(doc, b.external(b.builds(1))) {
			t.Errorf("Port knows %s", doc)
		}
		b.builds(1).Finish("failed")
		b.after(time.Minute)
		b.wants(id, "FAILURE")
	})
}

func TestAnEmptyLinkIsNotSent(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		b.ado.Fault(azuredevopstest.Do(startRoute, func() {}))
		b.ado.Fault(azuredevopstest.Answer(startRoute, 200, "application/json", `{"id":1}`))
		b.ado.ClearFaults()
		b.ado.Fault(azuredevopstest.Answer(startRoute, 200, "application/json", `{"id":1}`).Times(1))
		id := b.add("")
		defer b.process()()
		b.after(time.Second)
		build := b.pipeline.QueueBuild("main") // whose id is 1
		for _, body := range b.bodies(runRoute) {
			if strings.Contains(body, "link") {
				t.Errorf("told %s", body)
			}
		}
		build.Finish("succeeded")
		b.after(time.Minute)
		b.wants(id, "SUCCESS")
	})
}

// A process that dies leaves the rest to the next one, wherever it is.
func TestKills(t *testing.T) {
	t.Parallel()
	const inLease, afterLease = 10 * time.Second, 5 * time.Minute
	for name, tt := range map[string]struct {
		port   porttest.Rule
		ado    *azuredevopstest.Fault
		kill   time.Duration // after the start of the process
		away   time.Duration
		builds int
		status string
		begun  int // runs of the pipeline at the kill
		ended  bool
	}{
		"before the acknowledgement":              {port: porttest.Hang(ackRoute), kill: time.Second, away: inLease, builds: 1, status: "SUCCESS"},
		"before the acknowledgement, away longer": {port: porttest.Hang(ackRoute), kill: time.Second, away: afterLease, builds: 1, status: "SUCCESS"},
		"acknowledged but not noted":              {port: porttest.LostConnection(ackRoute), kill: time.Second / 2, away: inLease, builds: 1, status: "SUCCESS"},
		"acknowledged but not noted, away longer": {port: porttest.LostConnection(ackRoute), kill: time.Second / 2, away: afterLease, builds: 0, status: "FAILURE"},
		"between acknowledgement and note":        {ado: azuredevopstest.Slow("GET /_apis/projects/{project}", time.Hour), kill: time.Second, away: afterLease, builds: 1, status: "SUCCESS"},
		"between note and start":                  {ado: azuredevopstest.Slow(startRoute, time.Hour), kill: time.Second, away: inLease, builds: 1, status: "SUCCESS"},
		"between note and start, away longer":     {ado: azuredevopstest.Slow(startRoute, time.Hour), kill: time.Second, away: afterLease, builds: 1, status: "SUCCESS"},
		"started but not noted":                   {ado: azuredevopstest.SlowBody(startRoute, time.Hour), kill: time.Second, away: inLease, builds: 1, status: "SUCCESS", begun: 1},
		"started but not noted, away longer":      {ado: azuredevopstest.SlowBody(startRoute, time.Hour), kill: time.Second, away: afterLease, builds: 1, status: "SUCCESS", begun: 1},
		"between start and report":                {port: porttest.Hang(runRoute), kill: time.Second, away: inLease, builds: 1, status: "SUCCESS", begun: 1},
		"while it runs":                           {kill: time.Minute, away: afterLease, builds: 1, status: "SUCCESS", begun: 1},
		"before the end is reported":              {port: porttest.Hang(runRoute).When(isPatch("status")), kill: 2 * time.Minute, away: inLease, builds: 1, status: "SUCCESS", begun: 1, ended: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bench) {
				b.port.Fault(tt.port)
				if tt.ado != nil {
					b.ado.Fault(tt.ado)
				}
				id := b.add(`,"variables":{"A":"1"}`)
				kill := b.process()
				b.after(tt.kill / 2)
				if tt.ended {
					b.builds(1).Finish("succeeded")
				}
				b.after(tt.kill / 2)
				kill()
				b.builds(tt.begun)
				b.wants(id, "IN_PROGRESS")
				b.port.ClearFaults()
				b.ado.ClearFaults()
				b.after(tt.away)
				kill = b.process()
				b.after(10 * time.Minute)
				if build := b.builds(tt.builds); build != nil {
					b.known(id, build)
					build.Finish("succeeded")
				}
				b.after(5 * time.Minute)
				b.wants(id, tt.status)
				kill()
				defer b.process()() // nothing is left
				b.after(5 * time.Minute)
				b.builds(tt.builds)
				b.wants(id, tt.status)
			})
		})
	}
}

// Two runs that ask for the same are not taken for each other.
func TestWhatIsFoundBelongsToOneRun(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		b.ado.Fault(azuredevopstest.LostAnswer(startRoute).Times(2))
		ids := []string{b.add(""), b.add(""), b.add("")}
		b.pipeline.QueueBuild("main") // by hand: it may be taken for one of them
		defer b.process()()
		b.after(10 * time.Minute)
		b.builds(4)
		var external []string
		for _, id := range ids {
			external = append(external, string(b.run(id).Document))
			b.wants(id, "IN_PROGRESS")
		}
		for _, build := range b.project.Builds {
			if n := len(slices.DeleteFunc(slices.Clone(external), func(doc string) bool { return !strings.Contains(doc, `"`+b.external(build)+`"`) })); n > 1 {
				t.Errorf("%d runs say that they started %d", n, build.ID)
			}
		}
	})
}

// What another process of the installation has started is known to Port only.
func TestWhatIsFoundMayBelongToAnotherProcess(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		other, build := b.add(""), b.pipeline.QueueBuild("main")
		b.taken(other)
		b.patch(other, `{"externalRunId":"`+b.external(build)+`"}`)
		b.ado.Fault(azuredevopstest.Reset(startRoute))
		id := b.add("")
		defer b.process()()
		b.after(10 * time.Minute)
		b.wants(id, "FAILURE")
	})
}

// What was started by somebody else with other inputs, or long ago, is not taken.
func TestWhatIsFoundHasTheSameInputs(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		b.pipeline.QueueBuild("main")
		b.after(10 * time.Minute)
		b.pipeline.QueueBuild("main") // without the variable
		b.ado.World().Edit(func() { b.project.Builds[1].Variables = `{"A":{"value":"2"}}` })
		b.ado.Fault(azuredevopstest.Reset(startRoute))
		id := b.add(`,"variables":{"A":"1"}`)
		defer b.process()()
		b.after(10 * time.Minute)
		b.wants(id, "FAILURE")
	})
}

// A run whose pipeline cannot be read for a while goes on; one that is gone for good ends.
func TestFollowingOutlastsFaults(t *testing.T) {
	t.Parallel()
	const read = "GET /{project}/_apis/pipelines/{pipeline}/runs/{run}"
	inBubble(t, func(b *bench) {
		id := b.add("")
		defer b.process()()
		b.after(time.Second)
		for _, f := range []*azuredevopstest.Fault{azuredevopstest.Status(read, 500), azuredevopstest.Status(read, 401), azuredevopstest.Truncate(read)} {
			b.ado.Fault(f)
			b.after(time.Hour)
			b.wants(id, "IN_PROGRESS")
			b.ado.ClearFaults()
		}
		b.ado.Fault(azuredevopstest.Status(read, 404).Times(1))
		b.after(time.Hour)
		b.wants(id, "IN_PROGRESS")
		b.ado.Fault(azuredevopstest.Status(read, 404))
		b.after(time.Hour)
		b.wants(id, "FAILURE")
		b.says(id, "it may have been deleted")
	})
}

func TestSeveralOrganizations(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		inputs string
		both   bool // have the project
		down   bool // is the other one
		builds int
		status string
		says   string
	}{
		"the only one that has the project": {builds: 1, status: "SUCCESS", says: "Started"},
		"both have it":                      {both: true, status: "FAILURE", says: "project Store is in contoso, fabrikam: name one of them with the input organization"},
		"one is named":                      {inputs: `,"organization":"Contoso"`, both: true, builds: 1, status: "SUCCESS", says: "Started"},
		"one is named by its address":       {inputs: `,"organization":"https://dev.azure.com/contoso"`, both: true, builds: 1, status: "SUCCESS", says: "Started"},
		"the other one does not answer":     {down: true, status: "FAILURE", says: "could not be read"},
		"the named one answers":             {inputs: `,"organization":"contoso"`, down: true, builds: 1, status: "SUCCESS", says: "Started"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(b *bench) {
				w := azuredevopstest.NewWorld("fabrikam")
				if tt.both {
					w.AddProject("Store")
				}
				other := azuredevopstest.NewUnstarted(azuredevopstest.Options{World: w})
				if tt.down {
					other.Fault(azuredevopstest.Status("", http.StatusInternalServerError))
				}
				b.others = []*azuredevopstest.Server{other}
				id := b.add(tt.inputs)
				defer b.process()()
				b.after(2 * time.Minute)
				if build := b.builds(tt.builds); build != nil {
					b.known(id, build)
					build.Finish("succeeded")
					b.hooked()
				}
				b.after(2 * time.Minute)
				b.wants(id, tt.status)
				b.says(id, tt.says)
				if n := b.run(id).Claims; n != 1 {
					t.Errorf("claimed %d times", n)
				}
			})
		})
	}
}

func TestTheLedgerIsNotShared(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		kill := b.process()
		b.after(time.Second)
		second := b.process()
		b.after(time.Minute)
		second()
		if !strings.Contains(b.log.String(), "wait for their ledger") {
			t.Error("nobody is told")
		}
		kill()
	})
}

// A table is a Store in memory.
type table map[string]string

func (m table) All(context.Context) (map[string]string, error) { return maps.Clone(m), nil }

func (m table) Put(_ context.Context, id, text string) error { m[id] = text; return nil }

func (m table) Delete(_ context.Context, ids ...string) error {
	for _, id := range ids {
		delete(m, id)
	}
	return nil
}

// What a process has started that was alone is followed when there are several.
func TestTheLedgerOfOneProcessIsTakenOver(t *testing.T) {
	t.Parallel()
	inBubble(t, func(b *bench) {
		id := b.add("")
		kill := b.process()
		b.after(time.Second)
		b.known(id, b.builds(1))
		kill()
		shared := table{}
		b.set = func(cfg *actions.Config) { cfg.Store = shared }
		kill = b.process()
		b.after(time.Second)
		if shared[id] == "" {
			t.Errorf("the shared ledger has %v", shared)
		}
		kill()
		b.dir = t.TempDir() // of another process
		defer b.process()()
		b.builds(1).Finish("succeeded")
		b.after(time.Minute)
		b.wants(id, "SUCCESS")
		if n := b.run(id).Claims; n != 1 {
			t.Errorf("claimed %d times", n)
		}
	})
}

func TestADamagedLedgerIsPutAside(t *testing.T) {
	t.Parallel()
	for _, damage := range []string{"nonsense", strings.Repeat("\x00", 64<<10), strings.Repeat("x", 100<<10)} {
		inBubble(t, func(b *bench) {
			b.write("actions.db", damage)
			id := b.add("")
			defer b.process()()
			b.after(time.Second)
			b.known(id, b.builds(1))
		})
	}
}
