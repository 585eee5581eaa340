package registrations

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/internal/graph"
	"github.com/onbehalf/onbehalf/internal/provision/graphcalls"
)

// functions are those of this package's scripts, beside those of the calls.
//
//go:embed script.sh
var functions string

// ScriptFiles are where a script writes to, unless ENV_FILE and STATE_FILE say otherwise.
type ScriptFiles struct{ Env, State string }

// Script prints a plan as a bash script that makes the same calls. It ends where Apply ends: with the settings in a file
// of NAME=value lines and the ids in a state file, so that a plan made afterwards is empty.
func Script(p *Plan, s *State, d *Desired, tool graphcalls.Tool, files ScriptFiles) (string, error) {
	if p.Blocked != nil {
		return "", p.Blocked
	}
	w := &graphcalls.Script{}
	heading(w, p, s, d, files)
	w.Text(graphcalls.Functions(tool) + "\n" + functions)
	w.Line("\ncan_keep \"$ENV_FILE\"\ncan_keep \"$STATE_FILE\"\nsame_tenant\nown_state")
	for _, call := range p.Steps {
		if role, ok := registers(call); ok {
			w.Line("nothing_yet %s", graphcalls.Single(string(role)))
		}
	}
	for _, call := range p.Steps {
		if err := scriptStep(w, call, p.asked); err != nil {
			return "", err
		}
	}
	if err := scriptSettings(w, p.Settings); err != nil {
		return "", err
	}
	w.Line("save_state %s", p.digest)
	w.Line(`say "settings in $ENV_FILE, ids in $STATE_FILE"`)
	return w.String(), nil
}

// heading says what the script is, and sets what is known already.
func heading(w *graphcalls.Script, p *Plan, s *State, d *Desired, files ScriptFiles) {
	single, double := graphcalls.Single, graphcalls.Double
	tenant := graphcalls.OneLine(strings.TrimSpace(p.Tenant.DisplayName + " " + p.Tenant.ID))
	w.Line("#!/usr/bin/env bash")
	w.Line("# The deployment %s in the tenant %s: the calls of Microsoft Graph of \"onbehalf setup entra apply\".", graphcalls.OneLine(d.Name), tenant)
	w.Line("# Read it, then run it with bash as an administrator. It takes Application.ReadWrite.All and DelegatedPermissionGrant.ReadWrite.All,")
	w.Line("# and the role Application Administrator. It writes settings, secrets among them, to ENV_FILE and ids to STATE_FILE.")
	w.Line("# shellcheck disable=SC2034 # save_state reads ids by their names")
	w.Line("%sset -euo pipefail\numask 077\n", graphcalls.BashAlone)
	w.Line("GRAPH=%s", single(d.Cloud.Graph+"/v1.0"))
	w.Line("RESOURCE=%s", single(d.Cloud.GraphResource))
	w.Line("TENANT=%s", single(p.Tenant.ID))
	w.Line("NAME=%s\nDEPLOYMENT=%s", single(s.Name), single(s.Deployment))
	w.Line("ENV_FILE=${ENV_FILE:-%s}\nSTATE_FILE=${STATE_FILE:-%s}", double(files.Env), double(files.State))
	w.Line("refused=%s\nchoices=%s", single(jsonOf(append([]string{}, s.Refused...))), single(jsonOf(s.Choices)))
	for _, name := range slices.Sorted(maps.Keys(s.IDs)) {
		w.Line("%s=%s", name, single(s.IDs[name]))
	}
	w.Line("")
}

// scriptStep writes one call and keeps what it learned, as Apply does.
func scriptStep(w *graphcalls.Script, call graphcalls.Call, asked string) error {
	if err := w.Call(call); err != nil {
		return err
	}
	if call.Asks {
		uri := graphcalls.Single(asked)
		w.Line("if [ \"$answered\" = 0 ]; then %s=%s; else %s=\"api://${%s}\"; uri_refused %s; fi", idURI, uri, idURI, idApp(API), uri)
	}
	for _, save := range call.Save {
		if name := settingOf(save); name != "" {
			w.Line("set_env %s \"$%s\"", name, save.As)
		}
	}
	w.Line("save_state ''")
	return nil
}

// settingOf is the setting for a secret, "" for anything else.
func settingOf(save graphcalls.Save) string {
	switch save.As {
	case idSecret(API):
		return "CLIENT_SECRET"
	case idSecret(Agent):
		return "AGENT_CLIENT_SECRET"
	default:
		return ""
	}
}

// registers reports whether a call registers an application, and which.
func registers(call graphcalls.Call) (Role, bool) {
	if call.Method != http.MethodPost || call.Path != "/applications" {
		return "", false
	}
	for _, r := range allRoles() {
		if slices.ContainsFunc(call.Save, func(v graphcalls.Save) bool { return v.As == idApp(r) }) {
			return r, true
		}
	}
	return "", false
}

func scriptSettings(w *graphcalls.Script, all []Setting) error {
	w.Line("\nsay 'write the settings'")
	for _, s := range all {
		value := s.Value
		if !regexp.MustCompile("^[A-Za-z0-9_./:@~%+,=&?;\x00-]*$").MatchString(value) {
			if strings.ContainsAny(value, "'\r\n\x00") {
				return fmt.Errorf("the value of %s cannot be written by a script", s.Name)
			}
			value = "'" + value + "'"
		}
		w.Line("set_env %s %s", s.Name, graphcalls.Double(value))
	}
	return nil
}

func jsonOf(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "null" // not reached: strings and ids encode
	}
	return string(text)
}

// Offline is a tenant of which nothing is known but its id: a script for it finds the rest out.
func Offline(tenant string) *Present {
	return &Present{
		Tenant: graph.Organization{ID: tenant}, Apps: map[Role]*graph.Application{}, Principals: map[Role]*graph.ServicePrincipal{},
	}
}
