package registrations

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/internal/provision/graphcalls"
)

// ref is the id where it is known, else the reference to it.
func (b *builder) ref(name string) string {
	if id := b.s.IDs[name]; id != "" {
		return id
	}
	return graphcalls.Ref(name)
}

// compared are the properties that plans look at, in the order of rows.
func compared() []string {
	return []string{
		"displayName", "signInAudience", "api.requestedAccessTokenVersion", "api.oauth2PermissionScopes", "optionalClaims.accessToken",
		"optionalClaims.idToken", "requiredResourceAccess", "isFallbackPublicClient", "publicClient.redirectUris", "web.redirectUris", "web.logoutUrl",
		"keyCredentials", "api.knownClientApplications", "api.preAuthorizedApplications", "tags",
	}
}

// leaf is a property that is to change.
type leaf struct{ path, oldText, newText string }

// compare returns what differs, and the body of the call that mends it. Collections are sent whole, as Graph wants them.
func compare(have, want graph.Application) (leaves []leaf, patch map[string]any, err error) {
	was, err1 := graphcalls.Plain(have)
	is, err2 := graphcalls.Plain(want)
	if err := errors.Join(err1, err2); err != nil {
		return nil, nil, err
	}
	patch = map[string]any{}
	for _, path := range compared() {
		old, fresh := lookup(was, path), lookup(is, path)
		if reflect.DeepEqual(old, fresh) || fresh == nil {
			continue
		}
		if strings.HasPrefix(path, "optionalClaims.") {
			patch["optionalClaims"] = is["optionalClaims"] // whole: nothing says that its lists are changed one by one
		} else {
			put(patch, path, fresh)
		}
		l := leaf{path: path}
		l.oldText, l.newText = describe(path, old, fresh)
		leaves = append(leaves, l)
	}
	return leaves, patch, nil
}

func lookup(m map[string]any, path string) any {
	first, rest, nested := strings.Cut(path, ".")
	if !nested {
		return m[first]
	}
	inner, _ := m[first].(map[string]any)
	return inner[rest]
}

func put(m map[string]any, path string, value any) {
	first, rest, nested := strings.Cut(path, ".")
	if !nested {
		m[first] = value
		return
	}
	inner, ok := m[first].(map[string]any)
	if !ok {
		inner = map[string]any{}
		m[first] = inner
	}
	inner[rest] = value
}

// describe shows what changes of a property: of a collection, what comes and what goes.
func describe(path string, old, fresh any) (oldText, newText string) {
	before, wasList := old.([]any)
	after, isList := fresh.([]any)
	if !isList {
		return brief(path, old), brief(path, fresh)
	}
	if old != nil && !wasList {
		before = nil
	}
	var gone, come []string
	for _, v := range before {
		if !has(after, v) {
			gone = append(gone, "- "+brief(path, v))
		}
	}
	for _, v := range after {
		if !has(before, v) {
			come = append(come, "+ "+brief(path, v))
		}
	}
	return strings.Join(gone, ", "), strings.Join(come, ", ")
}

func has(list []any, v any) bool {
	for _, other := range list {
		if reflect.DeepEqual(other, v) {
			return true
		}
	}
	return false
}

// brief shows a value in a few words: of an object, what names it.
func brief(path string, v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return graphcalls.Show(v)
	case map[string]any:
		if path == "keyCredentials" {
			if key, ok := v["key"].(string); ok {
				return certificateName(decode64(key))
			}
		}
		for _, name := range []string{"value", "name", "appId", "resourceAppId", "displayName"} {
			if text, ok := v[name].(string); ok {
				return graphcalls.Show(nameOf(text)) + details(v)
			}
		}
	}
	text, _ := json.Marshal(v) //nolint:errchkjson // it came from JSON
	return graphcalls.Show(string(text))
}

// nameOf names the APIs of Microsoft and the permissions of Microsoft Graph that plans are about, by ids which are the same in
// every tenant.
func nameOf(id string) string {
	switch id {
	case entra.SearchAppID:
		return "Azure AI Search"
	case entra.GraphAppID:
		return "Microsoft Graph"
	}
	for _, p := range groupPermissions() {
		if p.id == id {
			return p.name
		}
	}
	return id
}

// details are the ids and flags of an object that matter beside its name.
func details(v map[string]any) string {
	if enabled, ok := v["isEnabled"].(bool); ok && !enabled {
		return " (disabled)"
	}
	for _, list := range []string{"delegatedPermissionIds", "additionalProperties"} {
		if items, ok := v[list].([]any); ok && len(items) > 0 {
			return " (" + strings.Trim(fmt.Sprint(items...), "[]") + ")"
		}
	}
	access, _ := v["resourceAccess"].([]any)
	var ids []string
	for _, one := range access {
		if m, ok := one.(map[string]any); ok {
			ids = append(ids, graphcalls.Show(nameOf(fmt.Sprint(m["id"]))))
		}
	}
	if len(ids) > 0 {
		return " (" + strings.Join(ids, " ") + ")"
	}
	return ""
}

func texts(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

func decode64(s string) []byte {
	out, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil
	}
	return out
}
