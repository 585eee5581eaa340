package settings

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/doctor/check"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
)

func settingsTenant(_ context.Context, s *check.State) exam.Finding {
	value := s.Setting("TENANT_ID")
	if value == "" && clientAlone(s) {
		return exam.Skip("not set: a client signs in at the tenant that the server names", "")
	}
	id, err := identity.ParseTenantID(value)
	if seen, cause := badID(value); err != nil || strings.Trim(value, "0-") == "" {
		return exam.Failed(seen, cause, "TENANT_ID: "+check.PortalApp+" > Overview > Directory (tenant) ID").By("az account show --query tenantId --output tsv")
	}
	s.Tenant = id
	return exam.Good("%s", id)
}

func settingsAPI(_ context.Context, s *check.State) exam.Finding {
	value := s.Setting("API_CLIENT_ID")
	if value == "" && clientAlone(s) {
		found := notHere()
		found.Fix = "Set API_CLIENT_ID, too, to have the token of who is signed in here looked at."
		return found
	}
	id, err := identity.ParseClientID(value)
	if seen, cause := badID(value); err != nil || strings.Trim(value, "0-") == "" {
		return exam.Failed(seen, cause, "API_CLIENT_ID: "+check.PortalApp+" > Overview > Application (client) ID, not the object ID. Where nothing is registered yet, the command does it.").By(s.Onbehalf("setup entra apply"))
	}
	s.API = id
	return exam.Good("%s", id)
}

func settingsAppIDURI(_ context.Context, s *check.State) exam.Finding {
	value := s.Setting("API_APP_ID_URI")
	if value == "" {
		s.AppIDURI = "api://" + s.API.String()
		return exam.Good("not set: %s", s.AppIDURI)
	}
	u, err := url.Parse(value)
	const fix = "API_APP_ID_URI: " + check.PortalApp + " > Expose an API > Application ID URI"
	switch {
	case err != nil || !slices.Contains([]string{"api", "https", "http", "urn"}, u.Scheme):
		return exam.Failed(guarded(value), "That is no App ID URI: api://… or https://… is wanted.", fix)
	case strings.HasSuffix(value, "/"):
		return exam.Failed(shown(value), "The slash at the end is not part of an App ID URI: Entra and the server compare letter by letter.", fix)
	case strings.HasSuffix(value, "/execute") || strings.HasSuffix(value, "/.default"):
		return exam.Failed(shown(value), "That is a scope: the App ID URI is what stands before its last slash.", fix)
	case u.Scheme == "api" && isGUID(u.Host) && !strings.EqualFold(u.Host, s.API.String()) && u.Path == "":
		return exam.Failed(shown(value), "It names another application than API_CLIENT_ID ("+s.API.String()+").", fix)
	}
	s.AppIDURI = value
	return exam.Good("%s", value)
}

func settingsWebClient(_ context.Context, s *check.State) exam.Finding {
	const fix = "WEB_CLIENT_ID: " + check.PortalClient + " > Overview > Application (client) ID"
	value := s.Setting("WEB_CLIENT_ID")
	if value == "" {
		return exam.Skip("not set: nobody signs in from here, but with --client-id", fix)
	}
	id, err := identity.ParseClientID(value)
	if err != nil {
		seen, cause := badID(value)
		return exam.Failed(seen, cause, fix)
	}
	if !s.API.IsZero() && id == s.API {
		return exam.Failed("the same as API_CLIENT_ID", "The client that signs people in is another registration than the API: a public one, without a secret. With one for both, id tokens pass for access tokens.", "Make a second registration, and set WEB_CLIENT_ID to its id.").By(s.Onbehalf("setup entra apply"))
	}
	s.Web = id
	return exam.Good("%s", id)
}

func settingsAuthority(_ context.Context, s *check.State) exam.Finding {
	cloud, err := s.Authority()
	if err != nil {
		return exam.Failed(check.FirstLine(err), "The server would not start: whoever names the authority decides who is who.", "AZURE_AUTHORITY_HOST: leave it out for the public cloud, https://login.microsoftonline.us/ and the like for another, ONBEHALF_LOCAL=1 beside a local Entra")
	}
	s.Cloud = cloud
	if _, err = entra.CloudOf(cloud.Authority); err == nil && s.Setting("ONBEHALF_LOCAL") == "1" {
		return exam.Warned("ONBEHALF_LOCAL=1 and "+cloud.Authority, "The setting says that a local Entra is meant, the authority is Microsoft's.", "Remove ONBEHALF_LOCAL.")
	}
	return exam.Good("%s", cloud.Authority)
}

func settingsGraph(_ context.Context, s *check.State) exam.Finding {
	value := strings.TrimSuffix(s.Setting("GRAPH_ENDPOINT"), "/")
	own, err := entra.CloudOf(s.Cloud.Authority)
	microsoft := err == nil
	known := slices.ContainsFunc(entra.Clouds(), func(c entra.Cloud) bool { return c.Graph == value })
	if value != "" && (microsoft && value != own.Graph || !microsoft && known) {
		return exam.Failed(shown(value), "It is not the Graph of "+s.Cloud.Authority+", whose tokens it would refuse.", "GRAPH_ENDPOINT: leave it out, or set "+own.Graph)
	}
	return exam.Good("%s", s.Cloud.Graph)
}

func settingsCA(_ context.Context, s *check.State) exam.Finding {
	path := s.Setting("ONBEHALF_CA_FILE")
	if path == "" {
		return exam.Good("not set: the system's authorities")
	}
	const fix = "ONBEHALF_CA_FILE: what \"onbehalf local --write-env FILE\" wrote, anew at each start; or your proxy's CA as PEM"
	text, err := check.ReadSmall(path)
	if err != nil {
		return exam.Failed(err.Error(), "The file with the CA to trust cannot be read.", fix)
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		switch {
		case err != nil:
		case s.Now().After(certificate.NotAfter):
			return exam.Failed("expired on "+certificate.NotAfter.UTC().Format(time.DateOnly), "A CA that has expired vouches for nothing.", fix)
		default:
			return exam.Good("%s, good until %s", check.Clipped(certificate.Subject.CommonName), certificate.NotAfter.UTC().Format(time.DateOnly))
		}
	}
	return exam.Failed(path, "It holds no PEM certificate.", fix)
}
