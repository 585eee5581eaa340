package registrations

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/identity"
)

// State is what a set-up remembers between runs: ids, and no secret. It is written after every object that was made, so
// that an interruption can be resumed, and it is what a removal goes by.
type State struct {
	Version    int               `json:"version"`
	Tenant     string            `json:"tenant"`
	Name       string            `json:"name"`
	Deployment string            `json:"deployment"` // a GUID in the tag of every application: whose they are
	IDs        map[string]string `json:"ids"`        // "api_app": client id; "api_object", "api_sp": object ids; "api_secret_key", …
	Choices    *Choices          `json:"choices,omitempty"`
	Refused    []string          `json:"refusedUris,omitempty"`
	Applied    string            `json:"applied,omitempty"` // the digest of what was applied to its end: what differs since is drift
}

// Choices are what somebody asked for beside what every deployment has. They hold in later runs until somebody says otherwise.
type Choices struct {
	ReadGroups   bool                `json:"readGroups,omitempty"`
	SkipAgent    bool                `json:"skipAgent,omitempty"`
	PreAuthorize []identity.ClientID `json:"preAuthorize,omitempty"`
}

// Chosen returns the choices of earlier runs. A state file that is older than they are tells of one of them: nothing but
// reading groups needs the service principal of Microsoft Graph.
func (s *State) Chosen() Choices {
	if s.Choices == nil {
		return Choices{ReadGroups: s.IDs[idGraphSP] != ""}
	}
	return *s.Choices
}

// choose keeps the choices of a plan.
func (s *State) choose(d *Desired) {
	s.Choices = &Choices{ReadGroups: d.ReadGroups, SkipAgent: d.SkipAgent, PreAuthorize: d.PreAuthorize}
}

const stateVersion = 1

// maxState bounds a state file.
const maxState = 1 << 20

// Names of ids, beside those that begin with a role.
const (
	idExecute     = "execute_scope"
	idSearchSP    = "search_sp"
	idSearchScope = "search_scope"
	idGraphSP     = "graph_sp"
	idURI         = "api_uri" // the App ID URI in force, in settings alone: it is no id
)

func idApp(r Role) string       { return string(r) + "_app" }
func idObject(r Role) string    { return string(r) + "_object" }
func idPrincipal(r Role) string { return string(r) + "_sp" }
func idKey(r Role) string       { return string(r) + "_secret_key" }
func idSecret(r Role) string    { return string(r) + "_secret" } // never in a state

// Tags of an application that was made here. Anyone who may change an application can set them, so they prove nothing by
// themselves.
func (s *State) tags(r Role) []string {
	return []string{tagName(s.Name), tagRole(r), tagDeployment + s.Deployment}
}

const tagDeployment = "onbehalf:deployment:"

func tagName(name string) string { return "onbehalf:name:" + name }
func tagRole(r Role) string      { return "onbehalf:role:" + string(r) }

// owns reports whether an application bears this deployment's tag.
func (s *State) owns(tags []string) bool {
	return s.Deployment != "" && slices.Contains(tags, tagDeployment+s.Deployment)
}

// LoadState reads a state file; one that is not there is a new state.
func LoadState(path, name string) (*State, error) {
	file, err := os.Open(path) //nolint:gosec // the file that the person names
	if errors.Is(err, fs.ErrNotExist) {
		return &State{Version: stateVersion, Name: name, IDs: map[string]string{}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state file: %w", err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxState+1))
	if err != nil {
		return nil, fmt.Errorf("state file: %w", err)
	}
	s := &State{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(s); err != nil || len(text) > maxState || s.Version != stateVersion {
		return nil, fmt.Errorf("state file %s: not one of this program's", path)
	}
	return s, s.check(path, name)
}

// idNames are the names that ids of a state may have.
func idNames() []string {
	names := []string{idExecute, idSearchSP, idSearchScope, idGraphSP}
	for _, r := range allRoles() {
		names = append(names, idApp(r), idObject(r), idPrincipal(r), idKey(r))
	}
	return names
}

// check refuses what a hand has changed: ids go into addresses and scripts, and their names are variables there.
func (s *State) check(path, name string) error {
	if name != "" && s.Name != name {
		return fmt.Errorf("state file %s is of the deployment %q, not %q", path, s.Name, name)
	}
	if s.IDs == nil {
		s.IDs = map[string]string{}
	}
	names := idNames()
	for key, id := range s.IDs {
		if !slices.Contains(names, key) {
			return fmt.Errorf("state file %s: %q is no name of an id", path, key)
		}
		if _, err := identity.ParseObjectID(id); err != nil {
			return fmt.Errorf("state file %s: %s is no id", path, key)
		}
	}
	for _, id := range []string{s.Tenant, s.Deployment} {
		if _, err := identity.ParseObjectID(id); id != "" && err != nil {
			return fmt.Errorf("state file %s: %q is no id", path, id)
		}
	}
	return nil
}

// Save writes the state, whole or not at all, for its owner's eyes.
func (s *State) Save(path string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".onbehalf-*") // mode 0600
	if err != nil {
		return fmt.Errorf("state file: %w", err)
	}
	_, err = temporary.Write(append(text, '\n'))
	err = errors.Join(err, temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("state file: %w", errors.Join(err, os.Remove(temporary.Name())))
	}
	return nil
}

// begin gives a new state its deployment, before anything is made.
func (s *State) begin(tenant string) {
	s.Tenant = tenant
	if s.Deployment == "" {
		s.Deployment = newGUID()
	}
}

// forget takes out what is known of an application.
func (s *State) forget(r Role) {
	for key := range s.IDs {
		if strings.HasPrefix(key, string(r)+"_") {
			delete(s.IDs, key)
		}
	}
	if r == API {
		delete(s.IDs, idExecute)
		s.Refused = nil
	}
}

// newGUID makes a random one (RFC 9562, version 4).
func newGUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
