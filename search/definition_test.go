package search_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/onbehalf/onbehalf/search"
)

// A definition that is read, changed and written back keeps what this project has no name for.
func TestDefinitionRoundTrip(t *testing.T) {
	text := `{"@odata.context":"https://x/$metadata","@odata.etag":"\"0x1\"","name":"n","purviewEnabled":true,"newer":{"a":[1,2.50]},"nothing":null,
		"permissionFilterOption":"enabled","fields":[{"name":"id","type":"Edm.String","key":true,"stored":false,"sensitivityLabel":null},
		{"name":"a","type":"Edm.ComplexType","fields":[{"name":"b","type":"Edm.String","sourceDocumentId":true,"permissionFilter":"userIds"}]}]}`
	definition := &search.Definition{}
	if err := json.Unmarshal([]byte(text), definition); err != nil {
		t.Fatal(err)
	}
	if definition.ETag != `"0x1"` || definition.Fields[1].Fields[0].PermissionFilter != search.UserIDs || len(definition.Other) != 2 {
		t.Errorf("definition %+v", definition)
	}
	out, err := json.Marshal(definition)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"@odata.etag":"\"0x1\"","name":"n","fields":[{"name":"id","type":"Edm.String","key":true,"stored":false},` +
		`{"name":"a","type":"Edm.ComplexType","fields":[{"name":"b","type":"Edm.String","permissionFilter":"userIds","sourceDocumentId":true}]}],` +
		`"permissionFilterOption":"enabled","newer":{"a":[1,2.50]},"purviewEnabled":true}`
	if diff := cmp.Diff(want, string(out)); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
	if err := json.Unmarshal([]byte(`{"name":1}`), definition); err == nil {
		t.Error("a name that is a number is taken")
	}
	bad := search.Definition{Name: "n", Other: map[string]json.RawMessage{"x": json.RawMessage(`{`)}}
	if _, err := json.Marshal(bad); err == nil {
		t.Error("a broken member is written")
	}
}

func TestErrorsMatchTheirSentinels(t *testing.T) {
	for status, sentinel := range map[int]error{
		400: search.ErrBadRequest, 401: search.ErrUnauthorized, 403: search.ErrForbidden, 404: search.ErrNotFound, 409: search.ErrConflict,
		412: search.ErrPrecondition, 413: search.ErrBadRequest, 422: search.ErrBadRequest, 429: search.ErrThrottled, 500: search.ErrUnavailable,
		501: search.ErrUnsupported, 503: search.ErrUnavailable,
	} {
		err := fmt.Errorf("wrapped: %w", &search.Error{Status: status, Message: "m", Claims: "c"})
		if !errors.Is(err, sentinel) {
			t.Errorf("HTTP %d does not match %v", status, sentinel)
		}
		rejection, ok := errors.AsType[interface {
			error
			Rejected() (string, bool)
		}](err)
		if !ok {
			t.Fatal("no Rejected")
		}
		if claims, rejected := rejection.Rejected(); rejected != (status == 401) || claims != "c" {
			t.Errorf("HTTP %d: rejected %v, claims %q", status, rejected, claims)
		}
	}
}
