package local

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/onbehalf/onbehalf/entra/entraserver"
	"github.com/onbehalf/onbehalf/identity"
	"github.com/onbehalf/onbehalf/internal/sample"
)

// Setting is one NAME=value line.
type Setting struct{ Name, Value string }

// CAFiles are the files that make other programs trust the local CA.
type CAFiles struct {
	CA     string // the CA alone
	Bundle string // the system's authorities and the CA, for programs that trust one file and nothing else
}

// Settings returns what clients and the MCP server need to use the two services, in the names of the contract. The MCP
// server's and the web agent's URLs are those of their defaults.
func (l *Local) Settings(files CAFiles) []Setting {
	secret := func(app string) string {
		id, err := identity.ParseClientID(app)
		if err != nil {
			return ""
		}
		return l.directory.ClientSecret(id).Reveal()
	}
	node := files.CA
	if l.posing != nil {
		node = files.Bundle // Node too has to trust both
	}
	settings := []Setting{
		{"TENANT_ID", l.directory.Tenant().String()},
		{"TENANT_DOMAIN", l.directory.Domain()},
		{"API_CLIENT_ID", entraserver.ContosoAPI},
		{"API_APP_ID_URI", "api://" + entraserver.ContosoAPI},
		{"CLIENT_SECRET", secret(entraserver.ContosoAPI)},
		{"WEB_CLIENT_ID", entraserver.ContosoWebClient},
		{"AGENT_CLIENT_ID", entraserver.ContosoWebAgent},
		{"AGENT_CLIENT_SECRET", secret(entraserver.ContosoWebAgent)},
		{"AZURE_AUTHORITY_HOST", l.EntraURL + "/"},
		{"GRAPH_ENDPOINT", l.EntraURL},
		{"AZURE_SEARCH_ENDPOINT", l.SearchURL},
		{"AZURE_SEARCH_INDEX", sample.IndexName},
		{"AZURE_SEARCH_KEY", l.search.QueryKey().Reveal()},
		{"SEARCH_ADMIN_KEY", l.search.AdminKey().Reveal()},
		{"SEARCH_QUERY_KEY", l.search.QueryKey().Reveal()},
		{"MCP_URL", "http://localhost:8000/mcp"},
		{"WEB_URL", "http://localhost:8080"},
		{"ONBEHALF_LOCAL", "1"},
		{"ONBEHALF_CA_FILE", files.CA},
		{"NODE_EXTRA_CA_CERTS", node},
		{"SSL_CERT_FILE", files.Bundle},
		{"REQUESTS_CA_BUNDLE", files.Bundle},
	}
	return slices.DeleteFunc(settings, func(s Setting) bool { return l.unregistered(s.Name) })
}

// unregistered reports a setting of an application that is not there, as in the scenario "empty".
func (l *Local) unregistered(setting string) bool {
	app, ok := map[string]string{
		"API_CLIENT_ID": entraserver.ContosoAPI, "API_APP_ID_URI": entraserver.ContosoAPI, "CLIENT_SECRET": entraserver.ContosoAPI,
		"WEB_CLIENT_ID": entraserver.ContosoWebClient, "AGENT_CLIENT_ID": entraserver.ContosoWebAgent, "AGENT_CLIENT_SECRET": entraserver.ContosoWebAgent,
	}[setting]
	if !ok {
		return false
	}
	id, err := identity.ParseClientID(app)
	return err != nil || l.directory.Application(id) == nil
}

// envBegins is how a settings file begins that was written here.
const envBegins = "# Written by onbehalf local"

// ErrForeignEnv says that a settings file was not written here: it may hold the only copy of real secrets.
var ErrForeignEnv = errors.New("it was not written by \"onbehalf local\", and is left as it is")

// WriteEnv writes the settings to a file of NAME=value lines, and the CA and the bundle beside it; each is whole or not
// there at all, the settings last. Only the owner can read them. More settings replace those of the same name. A file
// that was not written here is [ErrForeignEnv].
func (l *Local) WriteEnv(path string, more ...Setting) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("settings file: %w", err)
	}
	if err := checkOurs(path); err != nil {
		return fmt.Errorf("settings file %s: %w", path, err)
	}
	files := CAFiles{CA: path + ".ca.pem", Bundle: path + ".bundle.pem"}
	var text strings.Builder
	text.WriteString(envBegins + ": secrets of a tenant that exists on this machine only.\n")
	for _, setting := range l.Settings(files) {
		for _, other := range more {
			if other.Name == setting.Name {
				setting.Value = other.Value
			}
		}
		fmt.Fprintf(&text, "%s=%s\n", setting.Name, setting.Value)
	}
	for _, file := range []struct {
		path    string
		content []byte
	}{{files.CA, l.ca.PEM()}, {files.Bundle, l.bundle()}, {path, []byte(text.String())}} { // the settings last: who sees them finds the rest
		if err := replaceFile(file.path, file.content); err != nil {
			return fmt.Errorf("settings file %s: %w", file.path, err)
		}
	}
	return nil
}

// checkOurs refuses a file that is there, holds anything, and was not written here.
func checkOurs(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && info.Mode().IsRegular() && info.Size() == 0:
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return ErrForeignEnv
	}
	file, err := os.Open(path) //nolint:gosec // the file that the person names
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	begins := make([]byte, len(envBegins))
	if n, _ := io.ReadFull(file, begins); string(begins[:n]) != envBegins {
		return ErrForeignEnv
	}
	return nil
}

// systemBundles are where systems keep the authorities that they trust (see crypto/x509, root_linux.go and others).
func systemBundles() []string {
	return []string{
		"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
	}
}

// bundle is the system's authorities, where they are found in a file, followed by ours.
func (l *Local) bundle() []byte {
	own := append(l.ca.PEM(), l.PosingCA()...)
	for _, path := range systemBundles() {
		system, err := os.ReadFile(path) //nolint:gosec // a fixed list
		if err != nil || !x509.NewCertPool().AppendCertsFromPEM(system) {
			continue
		}
		return append(append(system, '\n'), own...)
	}
	return own
}

// replaceFile writes a file that only its owner can read, whole or not at all.
func replaceFile(path string, content []byte) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".onbehalf-*")
	if err != nil {
		return withoutPath(err)
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(content)
	err = errors.Join(err, temporary.Chmod(0o600), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return withoutPath(err)
	}
	return nil
}

// withoutPath takes from an error the name of a temporary file, which tells nobody anything.
func withoutPath(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
