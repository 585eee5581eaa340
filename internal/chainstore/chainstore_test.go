package chainstore_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/onbehalf/onbehalf/chain"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/chainstore"
)

const (
	tenant = "c0de7e4a-0000-4000-8000-000000000001"
	alice  = "a11ce000-0000-4000-8000-00000000000a"
	bob    = "b0b00000-0000-4000-8000-00000000000b"
)

func record(store *chainstore.Store, oid string, decision chain.Decision) string {
	ctx, call := chain.Begin(context.Background())
	chain.Add(ctx, chain.Hop{Station: chain.Verify, Decision: decision, Tenant: tenant, Subject: oid})
	store.Record(ctx, call)
	return call.ID()
}

func get(t *testing.T, store *chainstore.Store, oid, path string, out any) int {
	t.Helper()
	handler := chainstore.Handler(store, func(*http.Request) (*identity.Caller, bool) {
		tid, err1 := identity.ParseTenantID(tenant)
		object, err2 := identity.ParseObjectID(oid)
		return &identity.Caller{Tenant: tid, Object: object}, err1 == nil && err2 == nil
	})
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
	if w.Code == http.StatusOK {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			t.Fatal(err)
		}
	}
	return w.Code
}

func TestACallIsShownToWhoMadeIt(t *testing.T) {
	store := chainstore.New(10)
	id := record(store, alice, chain.Allowed)
	var got chainstore.Record
	if code := get(t, store, alice, "/api/chain/"+id, &got); code != 200 || len(got.Hops) != 1 {
		t.Errorf("alice gets %d and %d hops of her own call", code, len(got.Hops))
	}
	if code := get(t, store, bob, "/api/chain/"+id, &got); code != 404 {
		t.Errorf("bob gets %d for alice's call, want 404", code)
	}
	if code := get(t, store, "", "/api/chain/"+id, &got); code != 403 {
		t.Errorf("nobody gets %d, want 403", code)
	}
	var list struct{ Calls []chainstore.Record }
	if code := get(t, store, bob, "/api/chain", &list); code != 200 || len(list.Calls) != 0 {
		t.Errorf("bob's list: %d with %d calls, want none", code, len(list.Calls))
	}
}

func TestTheOldestAreForgotten(t *testing.T) {
	store := chainstore.New(3)
	var ids []string
	for range 5 {
		ids = append(ids, record(store, alice, chain.Cached))
	}
	var list struct{ Calls []chainstore.Record }
	get(t, store, alice, "/api/chain", &list)
	if len(list.Calls) != 3 || list.Calls[0].ID != ids[4] || list.Calls[2].ID != ids[2] {
		t.Errorf("got %d calls, want the three newest, newest first", len(list.Calls))
	}
	if code := get(t, store, alice, "/api/chain/"+ids[0], nil); code != 404 {
		t.Errorf("a forgotten call gives %d, want 404", code)
	}
}

func TestACallWithoutAPersonIsNotKept(t *testing.T) {
	store := chainstore.New(3)
	id := record(store, alice, chain.Refused)
	if code := get(t, store, alice, "/api/chain/"+id, nil); code != 404 {
		t.Errorf("got %d for a call whose token was refused, want 404: its claims were never verified", code)
	}
}
