package porttest_test

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/ado-port/ado-port/port/porttest"
)

func Example() {
	srv := porttest.New(porttest.Options{})
	defer srv.Close()
	srv.AddBlueprint(`{"identifier":"service","schema":{"properties":{"stars":{"type":"number"}}}}`)
	srv.PutEntity("an agent", `{"blueprint":"service","identifier":"web","properties":{"stars":3}}`)
	srv.Fault(porttest.Status("POST /v1/auth/access_token", 503).Times(1))

	res, err := http.Post(srv.URL+"/v1/auth/access_token", "application/json", strings.NewReader(`{"clientId":"a","clientSecret":"b"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	res.Body.Close()

	web, _ := srv.Entity("service", "web")
	fmt.Println(res.Status, web.Ref, web.Property("stars"), srv.Requests()[0].Fault)
	// Output: 503 Service Unavailable service/web 3 status
}
