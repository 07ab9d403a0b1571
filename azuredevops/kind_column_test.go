package azuredevops

import "testing"

func TestColumns(t *testing.T) {
	f := boardService()
	s := newTestClient(t, f, options{}).Snapshot()
	boards, _ := collect(t, s, "board", `{}`, ListOptions{})
	board := string(boards[0].JSON[:len(boards[0].JSON)-len(orgKeys)-1]) + "}"
	before := len(f.Sent())
	recs, errs := collect(t, s, "column", `{}`, ListOptions{})
	const first, last = `{"id":"c1","name":"New","stateMappings":{"User Story":"New","Bug":"\u004eew"},"__board":`, `{"id":"c4","stateMappings":{"Bug":"Done"},"__board":`
	want := first + board + `,"__stateType":"User Story","__stateName":"New"` + orgKeys + "}\n" +
		first + board + `,"__stateType":"Bug","__stateName":"\u004eew"` + orgKeys + "}\n" +
		last + board + `,"__stateType":"Bug","__stateName":"Done"` + orgKeys + `}`
	if texts(recs) != want || scopes(errs) != "p1//t1 p1//t2" {
		t.Errorf("records =\n%s, %v, want\n%s and the teams of unreadable boards unknown", texts(recs), errs, want)
	}
	if n := len(f.Sent()) - before; n != 0 {
		t.Errorf("%d more requests, want the boards shared", n)
	}
	if got := scopeIDs(recs); got != "p1/t1 p1/t1 p1/t1" {
		t.Errorf("scopes = %s", got)
	}
}

func TestColumnsEarlyBreak(t *testing.T) {
	l, _, err := Bind("column", nil)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for range l.Records(t.Context(), newTestClient(t, boardService(), options{}).Snapshot(), ListOptions{}) {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 {
		t.Errorf("%d records before the break", n)
	}
}
