package agent_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ado-port/ado-port/port/agent"
)

func TestLoad(t *testing.T) {
	t.Parallel()
	polling := map[string]string{"PORT_CLIENT_ID": "id", "PORT_CLIENT_SECRET": "secret", "STREAMER_NAME": "POLLING", "PORT_ORG_ID": ""}
	kafka := map[string]string{
		"PORT_CLIENT_ID": "id", "PORT_CLIENT_SECRET": "secret", "PORT_ORG_ID": "org", "KAFKA_CONSUMER_GROUP_ID": "org.a",
		"KAFKA_CONSUMER_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_CONSUMER_AUTHENTICATION_MECHANISM": "SCRAM-SHA-512", "KAFKA_CONSUMER_AUTO_OFFSET_RESET": "largest",
		"DETAILED_LOGGING": "no", "GITLAB_URL": "https://gitlab.example/",
	}
	for _, tt := range []struct {
		name string
		base map[string]string
		add  map[string]string
		err  string // empty: it can be used
	}{
		{"polling", polling, nil, ""},
		{"chart", kafka, nil, ""},
		{"lower-case level", polling, map[string]string{"LOG_LEVEL": "debug"}, ""},
		{"nothing", nil, nil, "PORT_CLIENT_ID is not set"},
		{"no secret", polling, map[string]string{"PORT_CLIENT_SECRET": ""}, "PORT_CLIENT_SECRET is not set"},
		{"streamer", polling, map[string]string{"STREAMER_NAME": "kafka"}, "STREAMER_NAME: want"},
		{"level", polling, map[string]string{"LOG_LEVEL": "LOUD"}, "LOG_LEVEL: want"},
		{"flag", polling, map[string]string{"WEBHOOK_VERIFY_SSL": "maybe"}, "WEBHOOK_VERIFY_SSL: want true or false"},
		{"number", polling, map[string]string{"POLLING_RUNS_BATCH_SIZE": "many"}, "POLLING_RUNS_BATCH_SIZE"},
		{"batch", polling, map[string]string{"POLLING_RUNS_BATCH_SIZE": "0"}, "POLLING_RUNS_BATCH_SIZE: want"},
		{"timeout", polling, map[string]string{"WEBHOOK_INVOKER_TIMEOUT": "0"}, "WEBHOOK_INVOKER_TIMEOUT: want"},
		{"address", polling, map[string]string{"PORT_API_BASE_URL": "api.getport.io"}, "PORT_API_BASE_URL: want"},
		{"no mapping", polling, map[string]string{"CONTROL_THE_PAYLOAD_CONFIG_PATH": "other.json"}, "mapping file"},
		{"bad mapping", polling, map[string]string{"CONTROL_THE_PAYLOAD_CONFIG_PATH": "bad.json"}, "entry 1: url"},
		{"no group", kafka, map[string]string{"KAFKA_CONSUMER_GROUP_ID": ""}, "KAFKA_CONSUMER_GROUP_ID: want"},
		{"no organization", kafka, map[string]string{"PORT_ORG_ID": ""}, "PORT_ORG_ID: want"},
		{"topics instead", kafka, map[string]string{"PORT_ORG_ID": "", "KAFKA_RUNS_TOPIC": "r", "KAFKA_CHANGE_LOG_TOPIC": "c"}, ""},
		{"brokers", kafka, map[string]string{"KAFKA_CONSUMER_BOOTSTRAP_SERVERS": "b:1"}, "KAFKA_CONSUMER_BOOTSTRAP_SERVERS: want"},
		{"local", kafka, map[string]string{"KAFKA_CONSUMER_BOOTSTRAP_SERVERS": "b:1", "USING_LOCAL_PORT_INSTANCE": "on"}, ""},
		{"protocol", kafka, map[string]string{"KAFKA_CONSUMER_SECURITY_PROTOCOL": "TLS"}, "KAFKA_CONSUMER_SECURITY_PROTOCOL: want"},
		{"mechanism", kafka, map[string]string{"KAFKA_CONSUMER_AUTHENTICATION_MECHANISM": "none"}, "KAFKA_CONSUMER_AUTHENTICATION_MECHANISM: want"},
		{"reset", kafka, map[string]string{"KAFKA_CONSUMER_AUTO_OFFSET_RESET": "somewhere"}, "KAFKA_CONSUMER_AUTO_OFFSET_RESET: want"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, text := range map[string]string{"bad.json": `[{"url":1}]`, ".env": "POLLING_INTERVAL_SECONDS=7\nSTREAMER_NAME=POLLING\n"} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			environ := map[string]string{"STREAMER_NAME": "KAFKA"}
			maps.Copy(environ, tt.base)
			maps.Copy(environ, tt.add)
			cfg, err := agent.Load(dir, environ)
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Fatalf("%v, want %q", err, tt.err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error shows the secret: %v", err)
			}
			if err == nil && cfg.Interval.Duration() != 7*time.Second {
				t.Errorf("the interval of .env is %s", cfg.Interval.Duration())
			}
		})
	}
}

// The table of the document is that of the program.
func TestDocumentedVariables(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../deploy/AGENT.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range agent.Variables() {
		def := v.Default
		if def != "" {
			def = "`" + def + "`"
		}
		if row := "| `" + v.Name + "` | " + def + " | " + v.Meaning + " |"; !strings.Contains(string(doc), row) {
			t.Errorf("AGENT.md lacks the row\n%s", row)
		}
	}
}
