package registrations

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // Entra names certificates by it
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/internal/doctor/check"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
	"github.com/onbehalf/onbehalf/internal/graph"
)

// registrationCredential finds the credential of the settings among those of the registration.
func registrationCredential(ctx context.Context, s *state) exam.Finding {
	switch s.Credential() {
	case "CLIENT_SECRET":
		return secretRegistered(s, s.apiApp, s.Setting("CLIENT_SECRET"), check.PortalApp)
	case "CLIENT_CERTIFICATE_PATH":
		return certificateRegistered(ctx, s)
	}
	return federationRegistered(ctx, s)
}

// secretRegistered judges a secret by its first three characters, which Graph shows (hint), and by its end. Old secrets
// have no hint: they may be the one.
func secretRegistered(s *state, app *graph.Application, secret, place string) exam.Finding {
	var end time.Time
	for _, p := range app.PasswordCredentials {
		if (p.Hint == "" || strings.HasPrefix(secret, p.Hint)) && p.EndDateTime != nil && p.EndDateTime.After(end) {
			end = *p.EndDateTime
		}
	}
	fix := "Make a new secret at " + place + " > Certificates & secrets, or by the command, and put its value into the setting: a running server reads it anew."
	if end.IsZero() {
		return exam.Failed(fmt.Sprintf("none of the %d secrets begins like it", len(app.PasswordCredentials)), "The secret was deleted, or belongs to another registration.", fix).By(check.NewSecret(app.AppID))
	}
	found := check.Expiry(end, s.State, "the secret", fix)
	if found.Verdict != exam.OK {
		found.Command = check.NewSecret(app.AppID)
	}
	return found
}

// certificateRegistered compares the certificate with those that were uploaded. Its own end was looked at before.
func certificateRegistered(ctx context.Context, s *state) exam.Finding {
	text, err := check.ReadSmall(s.Setting("CLIENT_CERTIFICATE_PATH"))
	if err != nil {
		return exam.Skip(err.Error(), "")
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return exam.Skip("no PEM: not opened here", "")
	}
	der := pair.Certificate[0]
	digest := sha1.Sum(der) //nolint:gosec // a name, no proof
	names := []string{base64.StdEncoding.EncodeToString(digest[:]), strings.ToUpper(hex.EncodeToString(digest[:]))}
	// Graph shows the certificates themselves only when it is asked for them by name.
	app, err := graph.Get[graph.Application](ctx, s.graph, "/applications/"+s.apiApp.ID, url.Values{"$select": {"id,keyCredentials"}})
	if err != nil {
		return s.graphTrouble(err)
	}
	for _, k := range app.KeyCredentials {
		if bytes.Equal(k.Key, der) || slices.Contains(names, k.CustomKeyIdentifier) {
			return exam.Good("%s", names[1])
		}
	}
	return exam.Failed(names[1]+" is none of "+strconv.Itoa(len(app.KeyCredentials)), "The certificate was not uploaded to this registration (AADSTS700027).", check.PortalApp+" > Certificates & secrets > Certificates > Upload: the certificate without its key, here cert.pem.").By("az ad app credential reset --id " + s.API.String() + " --append --cert @cert.pem")
}

// federationRegistered looks for the trust in another issuer's tokens. Issuer, subject and audience are compared letter
// by letter, by Entra too.
func federationRegistered(ctx context.Context, s *state) exam.Finding {
	issuer, subject, audience, trouble := s.federated(ctx)
	if trouble != nil {
		return *trouble
	}
	all, err := graph.List[graph.FederatedCredential](ctx, s.graph, "/applications/"+s.apiApp.ID+"/federatedIdentityCredentials", nil, 100)
	if err != nil {
		return s.graphTrouble(err)
	}
	for _, f := range all {
		if f.Issuer == issuer && f.Subject == subject && slices.Contains(f.Audiences, audience) {
			return exam.Good("%s", check.Clipped(f.Name))
		}
	}
	cause := fmt.Sprintf("None of the registration's %d federated credentials trusts issuer %s, subject %s, audience %s (AADSTS700213).", len(all), check.Clipped(issuer), check.Clipped(subject), check.Clipped(audience))
	var near []string
	for _, f := range all {
		if strings.EqualFold(f.Subject, subject) && f.Subject != subject || strings.EqualFold(strings.TrimSuffix(f.Issuer, "/"), strings.TrimSuffix(issuer, "/")) && f.Issuer != issuer {
			near = append(near, check.Clipped(f.Name))
		}
	}
	if len(near) > 0 {
		cause += " Different in spelling alone: " + strings.Join(near, ", ") + "."
	}
	wanted := graph.FederatedCredential{Name: "server", Issuer: issuer, Subject: subject, Audiences: []string{audience}}
	return exam.Failed(s.Credential(), cause, check.PortalApp+" > Certificates & secrets > Federated credentials > Add credential").By("az ad app federated-credential create --id " + s.API.String() + " --parameters " + check.ShellQuote(asJSON(wanted)))
}

// federated says which token the server presents: that of the file, or that of its managed identity.
func (s *state) federated(ctx context.Context) (issuer, subject, audience string, _ *exam.Finding) {
	say := func(f exam.Finding) (string, string, string, *exam.Finding) { return "", "", "", &f }
	if id := s.Setting("MANAGED_IDENTITY_CLIENT_ID"); s.Credential() == "MANAGED_IDENTITY_CLIENT_ID" {
		sp, err := s.principal(ctx, id)
		if err != nil {
			return say(exam.Failed(check.Clipped(id), "The tenant knows no managed identity with this client id.", "MANAGED_IDENTITY_CLIENT_ID: Azure portal > Managed Identities > the identity > Client ID"))
		}
		return s.Cloud.IssuerV2(s.Tenant.String()), sp.ID, s.Cloud.FICAudience, nil
	}
	text, err := check.ReadSmall(s.Setting("AZURE_FEDERATED_TOKEN_FILE"))
	if err != nil {
		return say(exam.Failed(check.FirstLine(err), "The token file cannot be read.", "AZURE_FEDERATED_TOKEN_FILE: label the pod azure.workload.identity/use: \"true\""))
	}
	var claims struct {
		Issuer   string          `json:"iss"`
		Subject  string          `json:"sub"`
		Audience json.RawMessage `json:"aud"`
	}
	parts := strings.Split(strings.TrimSpace(string(text)), ".")
	if len(parts) == 3 {
		plain, bad := base64.RawURLEncoding.DecodeString(parts[1])
		if bad == nil {
			_ = json.Unmarshal(plain, &claims) // what is missing shows below
		}
	}
	if claims.Issuer == "" {
		return say(exam.Failed(s.Setting("AZURE_FEDERATED_TOKEN_FILE"), "The file holds no token.", "AZURE_FEDERATED_TOKEN_FILE: a JWT of the identity provider"))
	}
	audience = s.Cloud.FICAudience
	var one string
	var several []string
	if json.Unmarshal(claims.Audience, &one) == nil {
		audience = one
	} else if json.Unmarshal(claims.Audience, &several) == nil && len(several) > 0 {
		audience = several[0]
	}
	return claims.Issuer, claims.Subject, audience, nil
}
