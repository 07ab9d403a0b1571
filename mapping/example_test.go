package mapping_test

import (
	"context"
	"fmt"

	"github.com/ado-port/ado-port/mapping"
)

func ExampleResource_Map() {
	m, err := mapping.Parse([]byte(`{"resources": [{
		"kind": "repository",
		"selector": {"query": ".isDisabled | not"},
		"port": {"entity": {"mappings": {
			"identifier": ".id",
			"blueprint": "'azureDevopsRepository'",
			"title": ".name",
			"properties": {"branch": ".defaultBranch // \"\" | sub(\"refs/heads/\"; \"\")"},
			"relations": {"project": ".project.id"}
		}}}
	}]}`), mapping.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	record := []byte(`{"id":"r1","name":"web","defaultBranch":"refs/heads/main","project":{"id":"p1"}}`)
	res, err := m.Resources[0].Map(context.Background(), record, nil, &mapping.Report{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range res.Entities {
		fmt.Println(e.Blueprint, e.Identifier)
		fmt.Println(string(e.Body))
	}
	// Output:
	// azureDevopsRepository r1
	// {"identifier":"r1","blueprint":"azureDevopsRepository","title":"web","properties":{"branch":"main"},"relations":{"project":"p1"}}
}
