package registrations

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/internal/graph"
)

// Tool is what a script makes its calls with.
type Tool string

// The tools.
const (
	Curl Tool = "curl"
	Az   Tool = "az"
)

// Functions of scripts.
var (
	//go:embed script_common.sh
	scriptCommon string
	//go:embed script_curl.sh
	scriptCurl string
	//go:embed script_az.sh
	scriptAz string
)

// ScriptFiles are where a script writes to, unless ENV_FILE and STATE_FILE say otherwise.
type ScriptFiles struct{ Env, State string }

// Script prints a plan as a bash script that makes the same calls. It ends where Apply ends: with the settings in a file
// of NAME=value lines and the ids in a state file, so that a plan made afterwards is empty.
//
// Whatever comes from the tenant is data in it: in comments on one line, elsewhere in quotes.
func Script(p *Plan, s *State, d *Desired, tool Tool, files ScriptFiles) (string, error) {
	if p.Blocked != nil {
		return "", p.Blocked
	}
	w := &script{tool: tool}
	w.line("#!/usr/bin/env bash")
	w.line("# The deployment %s in the tenant %s: the calls of Microsoft Graph of \"onbehalf setup entra apply\".", oneLine(d.Name), oneLine(strings.TrimSpace(p.Tenant.DisplayName+" "+p.Tenant.ID)))
	w.line("# Read it, then run it with bash as an administrator. It takes Application.ReadWrite.All and DelegatedPermissionGrant.ReadWrite.All,")
	w.line("# and the role Application Administrator. It writes settings, secrets among them, to ENV_FILE and ids to STATE_FILE.")
	w.line("# shellcheck disable=SC2034 # save_state reads ids by their names\nset -euo pipefail\numask 077\n")
	w.line("GRAPH=%s", single(d.Cloud.Graph+"/v1.0"))
	w.line("RESOURCE=%s", single(d.Cloud.GraphResource))
	w.line("TENANT=%s", single(p.Tenant.ID))
	w.line("NAME=%s\nDEPLOYMENT=%s", single(s.Name), single(s.Deployment))
	w.line("ENV_FILE=${ENV_FILE:-%s}\nSTATE_FILE=${STATE_FILE:-%s}", double(files.Env), double(files.State))
	w.line("refused=%s", single(jsonList(s.Refused)))
	for _, name := range slices.Sorted(maps.Keys(s.IDs)) {
		w.line("%s=%s", name, single(s.IDs[name]))
	}
	w.line("")
	w.text(map[Tool]string{Curl: scriptCurl, Az: scriptAz}[tool])
	w.text(scriptCommon)
	w.line("same_tenant\nown_state")
	for _, step := range p.Steps {
		if role, ok := registers(step); ok {
			w.line("nothing_yet %s", single(string(role)))
		}
	}
	for _, step := range p.Steps {
		if err := w.step(step); err != nil {
			return "", err
		}
	}
	if err := w.settings(p.Settings); err != nil {
		return "", err
	}
	w.line("save_state %s", p.digest)
	w.line(`say "settings in $ENV_FILE, ids in $STATE_FILE"`)
	return w.out.String(), nil
}

type script struct {
	out  strings.Builder
	tool Tool
}

func (w *script) line(format string, args ...any) { fmt.Fprintf(&w.out, format+"\n", args...) }
func (w *script) text(s string)                   { w.out.WriteString(s + "\n") }

// step writes one call.
func (w *script) step(step Step) error {
	w.line("\nsay %s", single(oneLine(show(step.Do))))
	body := ""
	if step.Body != nil {
		text, err := heredoc(step.Body)
		if err != nil {
			return err
		}
		w.line("body=$(cat <<JSON\n%s\nJSON\n)", text)
		body = ` "$body"`
	}
	call := fmt.Sprintf("call %s %s%s", step.Method, double(step.Path), body)
	switch {
	case step.URI != "":
		w.line("if uri_added %s %s%s; then api_uri=%s; else api_uri=\"api://${api_app}\"; fi", single(step.URI), double(step.Path), body, single(step.URI))
	case len(step.Save) == 0:
		w.line("%s >/dev/null", call)
	default:
		w.line("answer=$(%s)", call)
		w.saves(step)
	}
	w.line("save_state ''")
	return nil
}

// registers reports whether a step registers an application, and which.
func registers(step Step) (Role, bool) {
	if step.Method != http.MethodPost || step.Path != "/applications" {
		return "", false
	}
	for _, r := range allRoles() {
		if slices.ContainsFunc(step.Save, func(v Save) bool { return v.As == idApp(r) }) {
			return r, true
		}
	}
	return "", false
}

// saves keeps what later steps need. The id of what was made is asked for by itself, since the answer holds others' ids.
func (w *script) saves(step Step) {
	slices.SortStableFunc(step.Save, func(a, b Save) int { return strings.Compare(b.Member, a.Member) }) // secretText, keyId, id, appId
	for _, save := range slices.Backward(step.Save) {
		switch {
		case save.Scope != "":
			w.line("%s=$(pick_scope %s \"$answer\")", save.As, single(save.Scope))
		case save.Member == "id" && step.Method == http.MethodGet:
			w.line("%s=$(pick id \"$answer\")", save.As)
		case save.Member == "id" && step.Path == "/applications":
			w.line("%s=$(id_of applications \"$%s\")", save.As, strings.TrimSuffix(save.As, "_object")+"_app")
		case save.Member == "id":
			members, _ := step.Body.(map[string]any)
			appID, _ := members["appId"].(string)
			w.line("%s=$(id_of servicePrincipals %s)", save.As, double(appID))
		default:
			w.line("%s=$(pick %s \"$answer\")", save.As, save.Member)
		}
		switch save.As {
		case idSecret(API):
			w.line("set_env CLIENT_SECRET \"$%s\"", save.As)
		case idSecret(Agent):
			w.line("set_env AGENT_CLIENT_SECRET \"$%s\"", save.As)
		}
	}
}

func (w *script) settings(all []Setting) error {
	w.line("\nsay 'write the settings'")
	for _, s := range all {
		value := s.Value
		if !regexp.MustCompile("^[A-Za-z0-9_./:@~%+,=&?;\x00-]*$").MatchString(value) {
			if strings.ContainsAny(value, "'\r\n\x00") {
				return fmt.Errorf("the value of %s cannot be written by a script", s.Name)
			}
			value = "'" + value + "'"
		}
		w.line("set_env %s %s", s.Name, double(value))
	}
	return nil
}

// heredoc writes JSON for an unquoted here-document: what the shell would expand is escaped, references are variables.
func heredoc(body any) (string, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(body); err != nil {
		return "", fmt.Errorf("script: %w", err)
	}
	text := strings.NewReplacer(`\`, `\\`, "`", "\\`", "$", `\$`).Replace(strings.TrimSpace(out.String()))
	return regexp.MustCompile(`\\\\u0000([a-z_]+)\\\\u0000`).ReplaceAllString(text, `$${$1}`), nil
}

// single quotes a text for the shell.
func single(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// double quotes a text in which references are variables.
func double(s string) string {
	s = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "`", "\\`", "$", `\$`).Replace(s)
	return `"` + refs().ReplaceAllString(s, `$${$1}`) + `"`
}

// oneLine keeps a foreign text from leaving its line.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 || r == 0x85 {
			return ' '
		}
		return r
	}, s)
}

func jsonList(list []string) string {
	text, err := json.Marshal(append([]string{}, list...))
	if err != nil {
		return "[]" // not reached: strings encode
	}
	return string(text)
}

// Offline is a tenant of which nothing is known but its id: a script for it finds the rest out.
func Offline(tenant string) *Present {
	return &Present{
		Tenant: graph.Organization{ID: tenant}, Apps: map[Role]*graph.Application{}, Principals: map[Role]*graph.ServicePrincipal{},
	}
}
