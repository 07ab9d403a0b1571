package port

import (
	"context"
	"fmt"
	"slices"
)

// KafkaTopic returns the organization, with which the names of its topics begin, and
// whether it has one that holds nothing but requests for resyncs.
func (c *Client) KafkaTopic(ctx context.Context) (organization string, requests bool, err error) {
	o, err := c.organization(ctx)
	if err != nil {
		return "", false, err
	}
	if o.ID == "" {
		return "", false, fmt.Errorf("port: organization: %w", errAnswer)
	}
	return o.ID, slices.Contains(o.FeatureFlags, "OCEAN_KAFKA_INTEGRATION_RESYNC_REQUESTS_TOPIC_ENABLED"), nil
}

// KafkaCredentials returns those of Port's brokers.
func (c *Client) KafkaCredentials(ctx context.Context) (user, password string, err error) {
	var a struct {
		Credentials *struct{ Username, Password string } `json:"credentials"`
	}
	if err := c.getJSON(ctx, "/kafka-credentials", "", &a); err != nil {
		return "", "", err
	}
	if a.Credentials == nil {
		return "", "", fmt.Errorf("port: Kafka credentials: %w", errAnswer)
	}
	c.cfg.Masker.Add(a.Credentials.Password)
	return a.Credentials.Username, a.Credentials.Password, nil
}
