package entraserver

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/localhost"
)

// controlRoutes is the control API, for tests and demos: on loopback only, closed to web pages.
func (s *Server) controlRoutes() map[string]endpoint {
	control := http.NewServeMux()
	for pattern, handle := range map[string]func(http.ResponseWriter, *call) error{
		"GET /_local/people":                           s.controlPeople,
		"POST /_local/devicecodes/{user_code}/approve": s.controlApprove,
		"POST /_local/devicecodes/{user_code}/decline": s.controlDecline,
		"POST /_local/tokens":                          s.controlTokens,
		"POST /_local/clock/advance":                   s.controlAdvance,
		"POST /_local/keys/rotate":                     s.controlRotate,
		"GET /_local/policies":                         s.controlGetPolicies,
		"PUT /_local/policies":                         s.controlPutPolicies,
		"PUT /_local/scenario/{name}":                  s.controlScenario,
		"POST /_local/reset":                           s.controlReset,
	} {
		control.HandleFunc(pattern, s.controlHandler(handle))
	}
	control.HandleFunc("GET /_local/requests", func(w http.ResponseWriter, r *http.Request) { s.traffic.ServeRequests(w, r) })
	control.HandleFunc("POST /_local/faults", func(w http.ResponseWriter, r *http.Request) { s.traffic.ServeFaults(w, r) })
	guarded := localhost.Guard(control)
	return map[string]endpoint{"ANY /_local/*": {name: "control", handle: func(w http.ResponseWriter, c *call) error {
		guarded.ServeHTTP(w, c.Request)
		return nil
	}}}
}

// controlHandler answers a refusal of Entra's as its JSON, and anything else as 400 in words.
func (s *Server) controlHandler(handle func(http.ResponseWriter, *call) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := s.newCall(r)
		c.tenant = tenantRef{s.dir.Tenant().String(), s.dir.Tenant()}
		err := handle(w, c)
		refused := new(entra.Error)
		switch {
		case err == nil:
		case errors.As(err, &refused):
			s.writeError(w, c, refused)
		case errors.Is(err, errAnswered):
		default:
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	}
}

// errAnswered says that the answer is written already.
var errAnswered = errors.New("answered")

func read[T any](w http.ResponseWriter, c *call) (v T, err error) {
	if !localhost.ReadJSON(w, c.Request, &v) {
		return v, errAnswered
	}
	return v, nil
}

// personView is a person as the control API shows one.
type personView struct {
	User          string              `json:"user"` // the short name
	UPN           string              `json:"upn"`
	Name          string              `json:"name"`
	OID           identity.ObjectID   `json:"oid"`
	Enabled       bool                `json:"enabled"`
	Administrator bool                `json:"administrator,omitempty"`
	Groups        []identity.ObjectID `json:"groups"`
}

func (s *Server) controlPeople(w http.ResponseWriter, _ *call) error {
	people := s.dir.People()
	views := make([]personView, 0, len(people))
	for _, p := range people {
		groups := s.dir.TransitiveMemberOf(p.ID)
		if groups == nil {
			groups = []identity.ObjectID{}
		}
		views = append(views, personView{p.ShortName(), p.UPN, p.Name, p.ID, p.Enabled, p.IsAdministrator(), groups})
	}
	localhost.WriteJSON(w, views)
	return nil
}

// controlApprove signs a person in with a device code: {"user":"alice"}. Whatever MFA or authentication context is
// demanded counts as done. compliant_device says that the person sits at a managed device; refuse_consent leaves a
// missing consent missing.
func (s *Server) controlApprove(w http.ResponseWriter, c *call) error {
	body, err := read[struct {
		User            string `json:"user"`
		CompliantDevice bool   `json:"compliant_device"`
		RefuseConsent   bool   `json:"refuse_consent"`
	}](w, c)
	if err != nil {
		return err
	}
	id, err := s.personID(body.User)
	if err != nil {
		return err
	}
	if err = s.approveDevice(c, c.PathValue("user_code"), s.dir.Person(id), body.CompliantDevice, !body.RefuseConsent); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) controlDecline(w http.ResponseWriter, c *call) error {
	if err := s.settleDevice(c, c.PathValue("user_code"), nil); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// SignRequest is what to sign, for hostile tokens. Header and claims go into the token as they are; what is not given
// is what a good token has, unless Bare.
type SignRequest struct {
	Header map[string]any `json:"header"`
	Claims map[string]any `json:"claims"`
	// Key is "current" (or ""), "next", "consumers" (the key of personal accounts), "unknown" (one that nobody
	// publishes), "none" (no signature).
	Key  string `json:"key"`
	Bare bool   `json:"bare"` // leave out what is not given
	// User fills oid, name and the like of the person; the audience is the sample API unless claims say otherwise.
	User string `json:"user"`
}

func (s *Server) controlTokens(w http.ResponseWriter, c *call) error {
	body, err := read[SignRequest](w, c)
	if err != nil {
		return err
	}
	text, err := s.Sign(body)
	if err != nil {
		return err
	}
	localhost.WriteJSON(w, map[string]string{"access_token": text.Reveal()})
	return nil
}

func (s *Server) controlAdvance(w http.ResponseWriter, c *call) error {
	body, err := read[struct {
		Seconds int `json:"seconds"`
	}](w, c)
	if err != nil {
		return err
	}
	if err = s.Advance(time.Duration(body.Seconds) * time.Second); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Advance makes everything that was issued so far older: codes, refresh tokens, assertions that are exchanged. What is
// issued afterwards carries the real time.
func (s *Server) Advance(by time.Duration) error {
	const most = 10 * 365 * 24 * time.Hour
	if by <= 0 || by > most {
		return errors.New("clock: want a positive number of seconds, at most ten years")
	}
	if !s.ages.advance(by) {
		return errors.New("clock: advanced too often; reset")
	}
	return nil
}

// controlRotate puts the next key in use; {"revoke":true} replaces all keys at once by some that nobody has seen.
func (s *Server) controlRotate(w http.ResponseWriter, c *call) error {
	body, err := read[struct {
		Revoke bool `json:"revoke"`
	}](w, c)
	if err != nil {
		return err
	}
	if err = s.RotateKeys(body.Revoke); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// RotateKeys puts the next signing key in use and goes on publishing the old one; with revoke all keys are replaced at
// once by some that nobody has seen.
func (s *Server) RotateKeys(revoke bool) error { return s.keys.rotate(revoke) }

func (s *Server) controlGetPolicies(w http.ResponseWriter, _ *call) error {
	localhost.WriteJSON(w, s.policies.current().source)
	return nil
}

func (s *Server) controlPutPolicies(w http.ResponseWriter, c *call) error {
	body, err := read[Policies](w, c)
	if err != nil {
		return err
	}
	if err = s.SetPolicies(body); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) controlReset(w http.ResponseWriter, _ *call) error {
	s.Reset()
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Reset brings back the directory and the policies of the start, and forgets codes, ageing, revocations, faults and
// counts. Keys and secrets stay, and tokens that were issued are good for what they were.
func (s *Server) Reset() {
	s.dir.restore(s.initial)
	s.policies.reset()
	s.keys.armReplacement(0)
	s.ages.reset()
	s.devices.reset()
	s.codes.reset()
	s.traffic.Reset()
}

// QueueFault spoils the next answers of an endpoint: "token", "devicecode", "metadata", "keys", …
func (s *Server) QueueFault(f localhost.Fault) error { return s.traffic.Queue(f) }

// Requests returns how often each endpoint was called since the last reset, by grant and outcome.
func (s *Server) Requests() []localhost.Counted { return s.traffic.Requests() }

// writeFault answers a request with an error that was asked for.
func (s *Server) writeFault(w http.ResponseWriter, r *http.Request, f localhost.Fault) {
	e := &entra.Error{Status: f.Status, Code: f.Error, Sub: f.Sub, Claims: f.Claims, Description: f.Description}
	if f.AADSTS != 0 {
		known := refuse(f.AADSTS, f.Endpoint, "", "")
		e.AADSTS = []int{f.AADSTS}
		if known.Number() == f.AADSTS {
			e.Code, e.Sub = orElse(e.Code, known.Code), orElse(e.Sub, known.Sub)
		}
	}
	if e.Code == "" {
		e.Code = "server_error"
		if f.Status == http.StatusTooManyRequests || f.Status == http.StatusServiceUnavailable {
			e.Code = "temporarily_unavailable"
		}
	}
	if f.Claims != "" && !json.Valid([]byte(f.Claims)) {
		e.Claims = ""
	}
	e.Description = orElse(e.Description, "A fault that was asked for by /_local/faults.")
	if f.AADSTS != 0 && !strings.HasPrefix(e.Description, "AADSTS") {
		e.Description = prefixed(f.AADSTS, e.Description)
	}
	if s.endpointName(r) == "graph" {
		writeGraphJSON(w, f.Status, map[string]any{"error": map[string]string{"code": orElse(f.Error, "UnknownError"), "message": e.Description}})
		return
	}
	c := s.newCall(r)
	s.writeHeaders(w, c)
	s.writeError(w, c, e)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
