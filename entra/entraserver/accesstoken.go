package entraserver

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
)

// delegation is what a token says: which client acts for which person, signed in how, towards which resource, with
// which permissions.
type delegation struct {
	client  clientAuth
	person  *Person
	session session
	want    wanted
	scopes  []string // the claim scp
	claims  claimsRequest
	nonce   string         // of the sign-in, for the id_token
	confirm map[string]any // the claim cnf: a token bound to a key
	code    string         // the authorization code beside an id_token, for its c_hash
	spa     bool           // issued to a page: the refresh token is good for a day
}

// backdate is by how much iat and nbf lie before the issue.
const backdate = 300 * time.Second

// maxGroups is how many groups a token holds; more are an overage.
//
// https://learn.microsoft.com/security/zero-trust/develop/configure-tokens-group-claims-app-roles#group-overages
const maxGroups = 200

// life returns how long a new access token lives: random between 60 and 90 minutes, unless it is fixed.
//
// https://learn.microsoft.com/entra/identity-platform/access-tokens#token-lifetime
func (s *Server) life() time.Duration {
	if fixed := s.policies.current().life; fixed > 0 {
		return fixed
	}
	var b [2]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return time.Hour + time.Duration(binary.BigEndian.Uint16(b[:])%1800)*time.Second
}

// accessToken signs a delegated access token, in the format that its resource's manifest asks for.
func (s *Server) accessToken(c *call, d delegation, life time.Duration) (string, error) {
	d.session.serial = s.ages.next()
	s.keys.signed(c.now)
	claims := s.tokenClaims(c, d.want, life)
	claims["aio"] = s.seal(sealedSession, d.session.marshal())
	claims["oid"] = d.person.ID.String()
	claims["sub"] = s.subject(d.want.resource.AppID, d.person.ID)
	claims["name"] = d.person.Name
	claims["scp"] = strings.Join(d.scopes, " ")
	s.addClient(claims, d.client, d.want.resource.TokenVersion())
	if d.want.resource.TokenVersion() == 1 {
		claims["acr"], claims["amr"], claims["ipaddr"] = "1", d.session.methods(), "127.0.0.1"
		claims["unique_name"], claims["upn"] = d.person.UPN, d.person.UPN
		setNonEmpty(claims, "given_name", d.person.GivenName)
		setNonEmpty(claims, "family_name", d.person.Surname)
	} else {
		claims["preferred_username"] = d.person.UPN
	}
	if roles, _ := s.dir.RolesOf(d.person.ID, d.want.resource.AppID); len(roles) > 0 {
		claims["roles"] = roles
	}
	s.addGroups(claims, d)
	s.addOptional(claims, d)
	s.addAgent(claims, d.client.app)
	if d.confirm != nil {
		claims["cnf"] = d.confirm
	}
	return s.signToken(d.want.resource, claims)
}

// tokenClaims returns what all access tokens hold.
func (s *Server) tokenClaims(c *call, want wanted, life time.Duration) map[string]any {
	version := want.resource.TokenVersion()
	issued := c.now.Add(-backdate).Unix()
	claims := map[string]any{
		"aud": want.resource.AppID.String(), "iss": c.authority.issuer(version, s.dir.Tenant().String()),
		"iat": issued, "nbf": issued, "exp": c.now.Add(life).Unix(),
		"tid": s.dir.Tenant().String(), "uti": randomText(16), "rh": "1." + randomText(24) + ".", "xms_ftd": randomText(32), "ver": "2.0",
	}
	if version == 1 {
		claims["ver"] = "1.0"
		if aud, ok := want.resource.Wants("aud"); !ok || !slices.Contains(aud.AdditionalProperties, "use_guid") {
			claims["aud"] = want.prefix
		}
	}
	return claims
}

func (s *Server) addClient(claims map[string]any, client clientAuth, version int) {
	if version == 1 {
		claims["appid"], claims["appidacr"] = client.app.AppID.String(), string(client.proof)
		claims["app_displayname"] = client.app.DisplayName
	} else {
		claims["azp"], claims["azpacr"] = client.app.AppID.String(), string(client.proof)
	}
}

// addGroups adds the claim groups as the resource asks for it, or says where to look when they are too many.
func (s *Server) addGroups(claims map[string]any, d delegation) {
	kind := d.want.resource.GroupMembershipClaims
	if kind == nil || !slices.Contains([]string{"SecurityGroup", "All"}, *kind) {
		return
	}
	if *kind == "All" && len(d.person.Roles) > 0 {
		claims["wids"] = d.person.Roles
	}
	groups := s.dir.TransitiveMemberOf(d.person.ID)
	if len(groups) > maxGroups {
		// The address is Entra's own, of a service that is gone: nobody should follow it, and who does is caught.
		claims["_claim_names"] = map[string]string{"groups": "src1"}
		claims["_claim_sources"] = map[string]any{"src1": map[string]string{
			"endpoint": "https://graph.windows.net/" + s.dir.Tenant().String() + "/users/" + d.person.ID.String() + "/getMemberObjects",
		}}
		return
	}
	if len(groups) > 0 {
		claims["groups"] = groups
	}
}

// addOptional adds what the resource's manifest lists as optional claims.
//
// https://learn.microsoft.com/entra/identity-platform/optional-claims-reference
func (s *Server) addOptional(claims map[string]any, d delegation) {
	wants := func(name string) bool { _, ok := d.want.resource.Wants(name); return ok }
	if idtyp, ok := d.want.resource.Wants("idtyp"); ok && slices.Contains(idtyp.AdditionalProperties, "include_user_token") {
		claims["idtyp"] = "user"
	}
	if d.claims.cp1 && wants("xms_cc") {
		claims["xms_cc"] = []string{"CP1"}
	}
	if len(d.session.contexts) > 0 && (wants("acrs") || len(d.claims.contexts) > 0) {
		claims["acrs"] = contextNames(d.session.contexts)
	}
	for name, value := range map[string]string{"upn": d.person.UPN, "email": d.person.Mail, "given_name": d.person.GivenName, "family_name": d.person.Surname} {
		if wants(name) {
			setNonEmpty(claims, name, value)
		}
	}
	if wants("auth_time") {
		claims["auth_time"] = d.session.since.Unix()
	}
	if wants("amr") {
		claims["amr"] = d.session.methods()
	}
}

func setNonEmpty(claims map[string]any, name, value string) {
	if value != "" {
		claims[name] = value
	}
}

// addAgent marks the tokens of an agent identity: who acts is an AI agent, made from a blueprint. A facet claim is a set
// of numbers in any order, of which 11 is the agent's; the others are the real ones' too, to catch who compares strings.
//
// https://learn.microsoft.com/entra/agent-id/identity-platform/agent-token-claims
func (s *Server) addAgent(claims map[string]any, app *Application) {
	if app.AgentBlueprint.IsZero() {
		return
	}
	claims["xms_act_fct"] = "3 9 11"
	if claims["scp"] == nil {
		claims["xms_sub_fct"] = "9 3 11" // the agent acts for itself
	}
	claims["xms_par_app_azp"] = app.AgentBlueprint.String()
}

// appToken signs an access token of an application without a person.
func (s *Server) appToken(c *call, client clientAuth, want wanted, life time.Duration) (string, error) {
	sp := s.dir.PrincipalOf(client.app.AppID)
	claims := s.tokenClaims(c, want, life)
	claims["aio"] = s.seal(sealedSession, session{serial: s.ages.next()}.marshal())
	claims["oid"], claims["sub"] = sp.ID.String(), sp.ID.String()
	s.addClient(claims, client, want.resource.TokenVersion())
	if want.resource.TokenVersion() == 1 {
		claims["idp"] = claims["iss"]
	}
	if roles, _ := s.dir.RolesOf(sp.ID, want.resource.AppID); len(roles) > 0 {
		claims["roles"] = roles
	}
	if _, ok := want.resource.Wants("idtyp"); ok {
		claims["idtyp"] = "app"
	}
	s.addAgent(claims, client.app)
	return s.signToken(want.resource, claims)
}

// signToken signs an access token with the tenant's key. Graph's are spoiled on purpose, as the real ones are: what is
// signed holds the digest of the header's nonce, so that nobody but Graph can verify them.
func (s *Server) signToken(resource *Application, claims map[string]any) (string, error) {
	key := s.keys.signer()
	header := tokenHeader{Type: "JWT", Algorithm: "RS256", KeyID: key.kid}
	if resource.TokenVersion() == 1 {
		header.X5T = key.kid
	}
	if resource.AppID.String() != entra.GraphAppID {
		return signJWT(key, header, claims)
	}
	nonce := randomText(32)
	header.Nonce = graphNonce(nonce)
	signed, err := encodeJWT(header, claims)
	if err != nil {
		return "", err
	}
	signature, err := key.sign(signed)
	if err != nil {
		return "", err
	}
	header.Nonce = nonce
	shown, err := encodeJWT(header, claims)
	if err != nil {
		return "", err
	}
	return string(appendPart(append(shown, '.'), signature)), nil
}

type tokenHeader struct {
	Type      string `json:"typ"`
	Nonce     string `json:"nonce,omitempty"`
	Algorithm string `json:"alg"`
	X5T       string `json:"x5t,omitempty"`
	KeyID     string `json:"kid"`
}

func graphNonce(nonce string) string {
	digest := sha256.Sum256([]byte(nonce))
	return hex.EncodeToString(digest[:])
}

// subject returns the claim sub: of one person, another for each application.
func (s *Server) subject(app identity.ClientID, person identity.ObjectID) string {
	mac := hmac.New(sha256.New, s.pairwise)
	mac.Write([]byte(app.String() + "/" + person.String()))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// idToken tells the client who signed in.
//
// https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference
func (s *Server) idToken(c *call, d delegation) (string, error) {
	app := d.client.app
	issued := c.now.Add(-backdate).Unix()
	claims := map[string]any{
		"aud": app.AppID.String(), "iss": c.authority.issuer(2, s.dir.Tenant().String()), "iat": issued, "nbf": issued,
		"exp": c.now.Add(time.Hour).Unix(), "rh": "1." + randomText(24) + ".", "sub": s.subject(app.AppID, d.person.ID),
		"tid": s.dir.Tenant().String(), "uti": randomText(16), "ver": "2.0", "oid": d.person.ID.String(),
	}
	setNonEmpty(claims, "nonce", d.nonce)
	if d.code != "" {
		claims["c_hash"] = halfHash(d.code)
	}
	if slices.Contains(d.want.openID, "profile") {
		claims["name"], claims["preferred_username"] = d.person.Name, d.person.UPN
	}
	if slices.Contains(d.want.openID, "email") {
		setNonEmpty(claims, "email", d.person.Mail)
	}
	if app.wantsInIDToken("sid") {
		claims["sid"] = s.sessionID(d.session)
	}
	if app.wantsInIDToken("login_hint") {
		claims["login_hint"] = s.hintOf(d.person.ID)
	}
	key := s.keys.signer()
	return signJWT(key, tokenHeader{Type: "JWT", Algorithm: "RS256", KeyID: key.kid}, claims)
}

// randomText returns base64url of n random bytes.
func randomText(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b)
}
