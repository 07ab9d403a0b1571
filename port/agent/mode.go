package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// chosen says which halves of the program an environment is for. The chart
// port-labs/port-agent starts the image without arguments, and always sets the
// organization and the streamer.
func chosen(environ map[string]string) (agent, integration bool) {
	_, org := environ["PORT_ORG_ID"]
	_, streamer := environ["STREAMER_NAME"]
	agent = (org || streamer) && environ["PORT_CLIENT_ID"] != "" && environ["PORT_CLIENT_SECRET"] != ""
	for name, value := range environ {
		name = strings.ToUpper(name)
		if value != "" && (name == "OCEAN__PORT" || strings.HasPrefix(name, "OCEAN__PORT__")) {
			integration = true
		}
	}
	return agent, integration
}

// Choose runs what an environment is for: the agent, the integration, or both in one
// process. Then the agent ends with the integration, and not the other way round: what
// ends the agent alone is handed to complain.
func Choose(ctx context.Context, environ map[string]string, agent, integration func(context.Context) error, complain func(error)) error {
	forAgent, forIntegration := chosen(environ)
	switch {
	case forAgent && !forIntegration:
		return agent(ctx)
	case !forAgent && !forIntegration:
		if err := integration(ctx); err != nil { // it may have its settings in files
			return errors.Join(err, errors.New("to run the execution agent instead, set PORT_CLIENT_ID, PORT_CLIENT_SECRET and PORT_ORG_ID"))
		}
		return nil
	case !forAgent:
		return integration(ctx)
	}
	ctx, stop := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() {
		if err := agent(ctx); err != nil {
			complain(fmt.Errorf("the execution agent has ended, the integration goes on: %w", err))
		}
	})
	defer beside.Wait()
	defer stop()
	return integration(ctx)
}
