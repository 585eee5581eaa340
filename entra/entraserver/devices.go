package entraserver

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/onbehalf/onbehalf/identity"
)

// Life and pace of a device code.
//
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code
const (
	deviceLife     = 900 * time.Second
	deviceInterval = 5 * time.Second
	maxDevices     = 10_000
)

// deviceState is how far a device code has come.
type deviceState int

const (
	devicePending deviceState = iota
	deviceApproved
	deviceDeclined
)

// deviceFlow is one device code, from the request to the token. Flows are guarded by the mutex of deviceFlows.
type deviceFlow struct {
	userCode, deviceCode string
	client               identity.ClientID
	scope, resource      string
	claims               string
	from                 string // the address that asked: the page shows it
	issued               time.Time
	serial               uint64
	state                deviceState
	session              session
	polled               time.Time
}

// deviceFlows holds the device codes that wait for a person or for their device.
type deviceFlows struct {
	mu       sync.Mutex
	byUser   map[string]*deviceFlow
	byDevice map[string]*deviceFlow
}

func newDeviceFlows() *deviceFlows {
	return &deviceFlows{byUser: map[string]*deviceFlow{}, byDevice: map[string]*deviceFlow{}}
}

// deviceCode starts a flow.
func (s *Server) deviceCode(w http.ResponseWriter, c *call) error {
	form, err := readForm(w, c)
	if err != nil {
		return err
	}
	id, err := need(form, "client_id")
	if err != nil {
		return err
	}
	app, err := s.findClient(c, id)
	if err != nil {
		return err
	}
	scope, err := need(form, "scope")
	if err != nil {
		return err
	}
	want, err := s.parseScopes(scope)
	if err != nil {
		return err
	}
	if err = want.checkNames(app); err != nil {
		return err
	}
	if err = s.checkResource(form.Get("resource"), want); err != nil {
		return err
	}
	if _, err = parseClaims(form.Get("claims")); err != nil {
		return err
	}
	flow := &deviceFlow{
		userCode: newUserCode(), deviceCode: "1." + randomText(128), client: app.AppID, scope: scope, resource: form.Get("resource"),
		claims: form.Get("claims"), from: c.RemoteAddr, issued: c.now, serial: s.ages.next(),
	}
	if !s.addDevice(c, flow) {
		e := refuse(90055)
		e.RetryAfter = time.Minute
		return e
	}
	page := c.authority.base + "/devicelogin"
	writeJSON(w, http.StatusOK, map[string]any{
		"user_code": flow.userCode, "device_code": flow.deviceCode, "verification_uri": page,
		"expires_in": int(deviceLife.Seconds()), "interval": int(deviceInterval.Seconds()),
		"message": "To sign in, use a web browser to open the page " + page + " and enter the code " + flow.userCode + " to authenticate.",
	})
	return nil
}

// newUserCode returns nine letters and digits that are hard to confuse.
func newUserCode() string {
	const alphabet = "BCDFGHJKLMNPQRSTVWXYZ23456789AEU" // 32 characters: each byte maps evenly
	var b [9]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	for i := range b {
		b[i] = alphabet[b[i]%32]
	}
	return string(b[:])
}

// addDevice stores a flow and drops those that have expired; false when there are too many.
func (s *Server) addDevice(c *call, flow *deviceFlow) bool {
	d := s.devices
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.byDevice) >= maxDevices {
		for _, old := range d.byDevice {
			if s.deviceExpired(c.now, old) {
				d.drop(old)
			}
		}
	}
	if len(d.byDevice) >= maxDevices {
		return false
	}
	d.byUser[flow.userCode], d.byDevice[flow.deviceCode] = flow, flow
	return true
}

// drop is for holders of mu.
func (d *deviceFlows) drop(flow *deviceFlow) {
	delete(d.byUser, flow.userCode)
	delete(d.byDevice, flow.deviceCode)
}

func (d *deviceFlows) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.byUser)
	clear(d.byDevice)
}

func (s *Server) deviceExpired(now time.Time, flow *deviceFlow) bool {
	return now.Sub(flow.issued)+s.ages.of(flow.serial) > deviceLife
}

// findDevice returns a copy of the flow that waits for a person, by what was typed: case, spaces and hyphens do not
// matter.
func (s *Server) findDevice(c *call, typed string) (deviceFlow, error) {
	d := s.devices
	d.mu.Lock()
	defer d.mu.Unlock()
	flow, err := s.waiting(c, typed)
	if err != nil {
		return deviceFlow{}, err
	}
	return *flow, nil
}

// waiting is for holders of the flows' mutex.
func (s *Server) waiting(c *call, typed string) (*deviceFlow, error) {
	typed = strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(typed))
	flow := s.devices.byUser[typed]
	switch {
	case typed == "":
		return nil, refuse(90119)
	case flow == nil:
		return nil, refuse(70018)
	case s.deviceExpired(c.now, flow):
		return nil, refuse(70019)
	case flow.state != devicePending:
		return nil, refuse(90120)
	default:
		return flow, nil
	}
}

// settleDevice approves a flow with the person's session, or declines it when the session is nil.
func (s *Server) settleDevice(c *call, typed string, sess *session) error {
	d := s.devices
	d.mu.Lock()
	defer d.mu.Unlock()
	flow, err := s.waiting(c, typed)
	if err != nil {
		return err
	}
	if sess == nil {
		flow.state = deviceDeclined
		return nil
	}
	flow.state, flow.session = deviceApproved, *sess
	return nil
}

// approveDevice signs a person in with a device code, doing whatever policies and claims demand: what a person does at
// the page, for tests and demos.
func (s *Server) approveDevice(c *call, userCode string, person *Person, device, consent bool) error {
	flow, err := s.findDevice(c, userCode)
	if err != nil {
		return err
	}
	app, err := s.findClient(c, flow.client.String())
	if err != nil {
		return err
	}
	a, err := s.readSignIn(app, flow.scope, flow.claims)
	if err != nil {
		return err
	}
	sess, err := s.signInAs(a, person, device, consent)
	if err != nil {
		return err
	}
	return s.settleDevice(c, userCode, &sess)
}

// pollDevice is the device's side: it asks until the person has signed in.
func (s *Server) pollDevice(w http.ResponseWriter, c *call, form url.Values) error {
	auth, err := s.authenticateClient(c, form)
	if err != nil {
		return err
	}
	if !auth.confidential() && !auth.app.IsFallbackPublicClient {
		return refuse(7000218)
	}
	code := orElse(form.Get("device_code"), form.Get("code"))
	if code == "" {
		return refuse(900144, "device_code")
	}
	flow, err := s.takeDevice(c, code, auth.app.AppID)
	if err != nil {
		return err
	}
	form.Set("claims", orElse(form.Get("claims"), flow.claims))
	form.Set("resource", orElse(form.Get("resource"), flow.resource))
	return s.grantDelegated(w, c, form, delegatedRequest{auth: auth, session: flow.session, scope: orElse(form.Get("scope"), flow.scope)})
}

// takeDevice returns a flow that was approved, once.
func (s *Server) takeDevice(c *call, code string, client identity.ClientID) (deviceFlow, error) {
	d := s.devices
	d.mu.Lock()
	defer d.mu.Unlock()
	flow := d.byDevice[code]
	if flow == nil || flow.client != client {
		e := refuse(70018)
		e.Code = "bad_verification_code"
		return deviceFlow{}, e
	}
	tooFast := s.config.SlowDown && c.now.Sub(flow.polled) < deviceInterval
	flow.polled = c.now
	switch {
	case s.deviceExpired(c.now, flow):
		d.drop(flow)
		return deviceFlow{}, refuse(70020)
	case flow.state == deviceDeclined:
		d.drop(flow)
		e := refuse(65004)
		e.Code = "authorization_declined"
		return deviceFlow{}, e
	case flow.state == deviceApproved:
		d.drop(flow)
		return *flow, nil
	case tooFast:
		e := refuse(70016)
		e.Code = "slow_down" // RFC 8628 §3.5
		return deviceFlow{}, e
	default:
		return deviceFlow{}, refuse(70016)
	}
}
