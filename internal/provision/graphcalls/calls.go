// Package graphcalls holds calls of Microsoft Graph as data: each may name ids that an earlier one learns. They are made
// here, one after the other, or printed as a bash script that makes the very same ones.
//
// It decides nothing about which calls there are; see package registrations.
package graphcalls

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/graph"
)

// Call is one call of Microsoft Graph. Path and Body hold references to ids that earlier calls learn; see [Ref].
type Call struct {
	Do     string // what it is for: "register the API"
	Method string
	Path   string // after /v1.0
	Body   any    // of maps, slices, strings, numbers and booleans, as encoding/json decodes them
	Save   []Save // what of the answer is needed later
	Right  Right  // what it takes
	Fresh  bool   // it names objects that were just made, which Graph may not show yet
	Asks   bool   // a policy of the tenant may refuse it, and that is an answer: see [RefusedError]
}

// Save names a member of an answer.
type Save struct {
	As     string // the reference that stands for it
	Member string // of the answer
	Scope  string // not a member, but the id of the delegated permission with this short name
	Secret bool   // it is no id, but a secret
}

// Right is what a call takes.
type Right int

// The rights.
const (
	ManageApps Right = iota
	GrantConsent
)

// Explain says which right it is and who has it.
//
// https://learn.microsoft.com/entra/identity/enterprise-apps/grant-admin-consent and
// https://learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference
func (r Right) Explain() string {
	if r == GrantConsent {
		return "it takes DelegatedPermissionGrant.ReadWrite.All, and one of the roles Cloud Application Administrator, Application Administrator, Privileged Role Administrator or Global Administrator"
	}
	return "it takes Application.ReadWrite.All, and one of the roles Application Administrator, Cloud Application Administrator or Global Administrator"
}

// Error says which call failed. Its text holds Graph's message: whoever runs a set-up may read it.
type Error struct {
	Call Call
	Err  error
}

// Error names what was to be done and why it was not.
func (e *Error) Error() string {
	text := e.Call.Do + ": " + e.Err.Error()
	if refused, ok := errors.AsType[*graph.Error](e.Err); ok && refused.Message != "" {
		text += ": " + refused.Message
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// RefusedError is a refusal of a call that asks: nothing was changed, and the rest can go on.
type RefusedError struct{ Code string }

// Error gives Graph's code.
func (e *RefusedError) Error() string { return "refused: " + e.Code }

// A reference is marked with a character that Graph never sends, so that no text of a tenant can pass for one.
const refMark = "\x00"

// Ref stands for what a call saves under this name, of lower-case letters and underscores.
func Ref(name string) string { return refMark + name + refMark }

func refs() *regexp.Regexp { return regexp.MustCompile("\x00([a-z_]+)\x00") }

// ErrUnknown says that a call needs what no call before it has learned.
var ErrUnknown = errors.New("an id is not known yet")

// Resolve puts what is known in the place of references.
func Resolve(text string, known func(name string) string) (string, error) {
	var missing error
	out := refs().ReplaceAllStringFunc(text, func(found string) string {
		name := strings.Trim(found, refMark)
		value := known(name)
		if value == "" {
			missing = fmt.Errorf("%w: %s", ErrUnknown, name)
		}
		return value
	})
	return out, missing
}

// resolveAll is Resolve for a body.
func resolveAll(body any, known func(string) string) (any, error) {
	var missing error
	out := mapStrings(body, func(text string) string {
		resolved, err := Resolve(text, known)
		missing = errors.Join(missing, err)
		return resolved
	})
	return out, missing
}

// Show writes a text for people, with references as words in braces.
func Show(text string) string {
	return refs().ReplaceAllStringFunc(text, func(found string) string { return "{" + strings.Trim(found, refMark) + "}" })
}

// ShowBody is Show for a body.
func ShowBody(body any) any { return mapStrings(body, Show) }

// mapStrings copies what encoding/json decodes, with every string changed.
func mapStrings(v any, change func(string) string) any {
	switch v := v.(type) {
	case string:
		return change(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = mapStrings(v[i], change)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for name := range v {
			out[name] = mapStrings(v[name], change)
		}
		return out
	}
	return v
}

// Plain turns a value into what encoding/json decodes.
func Plain(v any) (map[string]any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("graph call: %w", err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("graph call: %w", err)
	}
	return out, nil
}

// IsID reports whether a text is a GUID. Ids go into addresses, files and scripts.
func IsID(s string) bool {
	_, err := identity.ParseObjectID(s)
	return err == nil
}
