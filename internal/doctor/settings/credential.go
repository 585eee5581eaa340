package settings

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"

	"github.com/onbehalf/onbehalf/internal/doctor/check"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
)

func settingsCredential(_ context.Context, s *check.State) exam.Finding {
	var set []string
	for _, name := range check.Credentials() {
		if s.Setting(name) != "" {
			set = append(set, name)
		}
	}
	switch len(set) {
	case 0:
		if clientAlone(s) {
			return notHere()
		}
		found := exam.Failed("none", "The server cannot prove to Entra that it is the API, and gets no tokens on behalf of people.", "Set one of "+strings.Join(check.Credentials(), ", ")+": "+check.PortalApp+" > Certificates & secrets")
		if id := s.Setting("API_CLIENT_ID"); isGUID(id) {
			found.Command = check.NewSecret(id)
		}
		return found
	case 1:
		return exam.Good("%s", set[0])
	}
	return exam.Warned(strings.Join(set, ", "), "Several are set; the server goes by "+set[0]+" and never looks at the others.", "Leave one of them.")
}

func settingsSecret(_ context.Context, s *check.State) exam.Finding {
	return secretShape(s.Setting("CLIENT_SECRET"), "CLIENT_SECRET", check.PortalApp)
}

// secretShape tells a secret's value from its id. Values of Entra's have about 40 characters.
func secretShape(value, name, place string) exam.Finding {
	switch {
	case value == "":
		return exam.Good("not used")
	case isGUID(value):
		return exam.Failed("a GUID", "That is the secret's id; what proves anything is its value, which the portal shows once, right after it was made.", name+": make a new secret at "+place+" > Certificates & secrets, and copy the column Value")
	case len(value) < 16:
		return exam.Failed(fmt.Sprintf("%d characters", len(value)), "Entra's secrets have about 40: this one was cut, or is a placeholder.", name+": make a new secret at "+place+" > Certificates & secrets, and copy the column Value")
	}
	return exam.Good("%d characters", len(value))
}

func settingsCertificate(_ context.Context, s *check.State) exam.Finding {
	path := s.Setting("CLIENT_CERTIFICATE_PATH")
	if path == "" {
		return exam.Good("not used")
	}
	text, err := check.ReadSmall(path)
	if err != nil {
		return exam.Failed(err.Error(), "The server cannot read its certificate.", "CLIENT_CERTIFICATE_PATH: a PEM file with certificate and key, or a PFX file")
	}
	if !strings.Contains(string(text), "-----BEGIN ") {
		return exam.Good("%s, no PEM: taken for PFX and not opened here", path)
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		return exam.Failed(path, "It holds no certificate with its key: "+strings.TrimPrefix(err.Error(), "tls: ")+".", "Put both into one file, the key without a password.").By("cat cert.pem key.pem > both.pem")
	}
	return check.Expiry(pair.Leaf.NotAfter, s, "the certificate in "+path, "Make a new one, upload it at "+check.PortalApp+" > Certificates & secrets, and replace the file: the server notices.")
}
