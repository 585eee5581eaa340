package shell

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/joho/godotenv"
	"go.yaml.in/yaml/v3"
)

// maxSettingsFile bounds a settings file.
const maxSettingsFile = 1 << 20

// Settings are named values from flags, environment and files, the first that has a name winning.
type Settings struct {
	layers []layer
	again  func() (*Settings, error) // reads everything anew; nil for settings that were given

	passedOver bool // there is a .env in the working directory, which was not read

	rootsOnce sync.Once
	roots     *x509.CertPool
	rootsErr  error
}

type layer struct {
	source string
	found  bool // a file of the working directory that nobody named
	lookup func(name string) (string, bool)
}

// where says for each setting that a command may miss where a person gets it. It is the list of what onbehalf.yaml may
// hold, too.
func where() map[string]string {
	const portal = "Entra admin center > App registrations > "
	return map[string]string{
		"TENANT_ID":                   portal + "the API > Directory (tenant) ID",
		"API_CLIENT_ID":               portal + "the API > Application (client) ID",
		"WEB_CLIENT_ID":               portal + "the public client > Application (client) ID",
		"CLIENT_SECRET":               portal + "the API > Certificates & secrets; or set CLIENT_CERTIFICATE_PATH, AZURE_FEDERATED_TOKEN_FILE or MANAGED_IDENTITY_CLIENT_ID",
		"API_APP_ID_URI":              portal + "the API > Expose an API > Application ID URI",
		"CLIENT_CERTIFICATE_PATH":     "a PEM or PFX file whose certificate is registered with the API",
		"CLIENT_CERTIFICATE_PASSWORD": "the password of that PFX file",
		"AZURE_FEDERATED_TOKEN_FILE":  "set by AKS workload identity",
		"MANAGED_IDENTITY_CLIENT_ID":  "the client id of a user-assigned managed identity that the API trusts",
		"AZURE_AUTHORITY_HOST":        "another cloud's authority, such as https://login.microsoftonline.us/; leave it out for Microsoft's global cloud",
		"GRAPH_ENDPOINT":              "another cloud's Microsoft Graph, such as https://graph.microsoft.us",
		"AZURE_SEARCH_ENDPOINT":       "Azure portal > the search service > Overview > Url",
		"AZURE_SEARCH_INDEX":          "the name of the index: 2 to 128 lower-case letters, digits and hyphens",
		"AZURE_SEARCH_KEY":            "Azure portal > the search service > Keys > a query key; or leave it out to use the server's identity",
		"ONBEHALF_LOCAL":              "1 when the authority is the local Entra and that is meant",
		"ONBEHALF_CA_FILE":            "a CA certificate to trust besides the system's",
		"CACHE_PASSPHRASE_FILE":       "a file with the passphrase of the client's token cache, where no keyring is to be had",
		"MCP_URL":                     "the server's public URL, such as https://mcp.contoso.com/mcp; http on this machine only",
		"REDIS_URL":                   "a shared token cache: rediss://USER:PASSWORD@HOST:PORT/0",
		"CACHE_SECRET":                "a random secret of the deployment, at least 32 characters, such as openssl rand -base64 48 makes; two, separated by a comma, while it is being changed",
		"AGENT_CLIENT_ID":             portal + "the web agent > Application (client) ID",
		"AGENT_CLIENT_SECRET":         portal + "the web agent > Certificates & secrets",
		"WEB_URL":                     "the web agent's public URL, such as https://agent.contoso.com; http on this machine only",
		"HISTORY_KEY":                 "a random key that encrypts the history at rest, at least 32 characters, such as openssl rand -base64 48 makes; two, separated by a comma, while it is being changed",
		"OPENAI_BASE_URL":             "the model's endpoint, such as https://api.openai.com/v1 or http://localhost:11434/v1",
		"OPENAI_API_KEY":              "the model's key",
		"OPENAI_MODEL":                "the model's name",
		"AZURE_OPENAI_ENDPOINT":       "the Azure OpenAI resource's endpoint, such as https://NAME.openai.azure.com",
		"AZURE_OPENAI_API_KEY":        "the Azure OpenAI resource's key",
		"AZURE_OPENAI_DEPLOYMENT":     "the Azure OpenAI deployment's name",
		"AZURE_OPENAI_API_VERSION":    "the Azure OpenAI API version",
		"SEARCH_ADMIN_KEY":            "an admin key of the search service, for set-up only",
		"SEARCH_QUERY_KEY":            "a query key of the search service",
		"TENANT_DOMAIN":               "the tenant's domain, such as contoso.onmicrosoft.com",
	}
}

// Settings reads what there is. Commands that serve or set up also read .env and onbehalf.yaml in the working
// directory; the client commands do not, since a hostile file in a cloned repository must not redirect a sign-in: they
// read onbehalf.yaml of the user's configuration directory alone.
func (s *Shell) Settings(trustWorkingDirectory bool) (*Settings, error) {
	out := &Settings{
		layers: []layer{{source: "environment", lookup: s.Environ}},
		again:  func() (*Settings, error) { return s.Settings(trustWorkingDirectory) },
	}
	add := func(source string, found bool, values map[string]string) {
		out.layers = append(out.layers, layer{source, found, func(name string) (string, bool) {
			value, ok := values[name]
			return value, ok
		}})
	}
	if s.envFile != "" {
		values, err := readEnv(s.envFile)
		if err != nil {
			return nil, Usage(Hint(err, "%s", envHint(s.envFile, err)))
		}
		add(s.envFile, false, values)
	} else if trustWorkingDirectory {
		values, err := readEnv(filepath.Join(s.Dir, ".env"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		add(".env", true, values)
	} else if info, err := os.Stat(filepath.Join(s.Dir, ".env")); err == nil && info.Mode().IsRegular() {
		out.passedOver = true
	}
	file := filepath.Join(s.Dir, "onbehalf.yaml")
	if !trustWorkingDirectory {
		config, err := os.UserConfigDir()
		if err != nil {
			return out, nil //nolint:nilerr // no home, no file
		}
		file = filepath.Join(config, "onbehalf", "onbehalf.yaml")
	}
	values, err := readYAML(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	add(file, trustWorkingDirectory, values)
	return out, nil
}

// SettingsOf makes settings of a map, for programs that start others' parts in one process.
func SettingsOf(values map[string]string) *Settings {
	return &Settings{layers: []layer{{source: "given", lookup: func(name string) (string, bool) {
		value, ok := values[name]
		return value, ok
	}}}}
}

// Override puts a flag's value in front of everything; an empty value changes nothing.
func (s *Settings) Override(name, value string) {
	if value != "" {
		s.layers = slices.Insert(s.layers, 0, layer{source: "flag", lookup: func(asked string) (string, bool) { return value, asked == name }})
	}
}

// Get returns a setting, or "". An empty value counts as none.
func (s *Settings) Get(name string) string {
	value, _ := s.get(name)
	return value
}

func (s *Settings) get(name string) (string, layer) {
	for _, l := range s.layers {
		if value, ok := l.lookup(name); ok && value != "" {
			return value, l
		}
	}
	return "", layer{}
}

// MayGo refuses to send a secret to an address that a file of the working directory gives which nobody named, unless
// such a file gives the secret, too: a hostile .env in a cloned repository must not collect a key of the environment.
func (s *Settings) MayGo(secret, address string) error {
	value, from := s.get(secret)
	_, to := s.get(address)
	if isPlaceholder(value) {
		return Wrong(secret, errors.New("it is still a placeholder"))
	}
	if value == "" || from.found || !to.found {
		return nil
	}
	return Usage(Hint(fmt.Errorf("%s is from the %s, and %s from %s, which nobody named", secret, from.source, address, to.source),
		"if the address is right, set %s in the environment, too, or name its file by --env", address))
}

// Fresh returns a setting as it is now, reading the files again: for a secret that is changed while a server runs.
func (s *Settings) Fresh(name string) (string, error) {
	if s.again == nil {
		return s.Get(name), nil
	}
	now, err := s.again()
	if err != nil {
		return "", err
	}
	return now.Get(name), nil
}

// Or returns a setting, or a default.
func (s *Settings) Or(name, fallback string) string {
	if value := s.Get(name); value != "" {
		return value
	}
	return fallback
}

// Wrong is the error about a setting that cannot be what it says: with where to get the right one.
func Wrong(name string, err error) error {
	return Usage(Hint(fmt.Errorf("%s: %w", name, err), "%s: %s", name, where()[name]))
}

// isPlaceholder reports values that an example leaves for the reader to fill in.
func isPlaceholder(value string) bool {
	return strings.HasPrefix(value, "<") && strings.HasSuffix(value, ">")
}

// MissingError says which settings a command misses, and where to get them.
type MissingError struct{ err error }

// Error names all of them.
func (e *MissingError) Error() string { return e.err.Error() }

// Unwrap returns the hint and the exit code.
func (e *MissingError) Unwrap() error { return e.err }

// Require reports all of the settings that are missing, or still a placeholder, as a [*MissingError].
func (s *Settings) Require(names ...string) error {
	var missing []string
	places := where()
	for _, name := range names {
		if value := s.Get(name); value == "" || isPlaceholder(value) {
			missing = append(missing, fmt.Sprintf("  %s: %s", name, places[name]))
		}
	}
	if len(missing) == 0 {
		return nil
	}
	hint := "set them in the environment or in a file named by --env; \"onbehalf local --write-env .env\" writes one for this machine"
	if s.passedOver {
		hint = "this command does not read the .env of this folder by itself: if you trust it, add --env .env"
	}
	return &MissingError{Usage(Hint(fmt.Errorf("missing settings:\n%s", strings.Join(missing, "\n")), "%s", hint))}
}

// envHint says what to do about a file that --env named.
func envHint(path string, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file here; \"onbehalf local --write-env FILE\" writes one for this machine, \"onbehalf setup entra apply\" for a tenant"
	case errors.Is(err, fs.ErrPermission):
		return "let yourself read it: as its owner, chmod u+r " + path
	}
	return "--env wants a file of NAME=value lines, such as \"onbehalf local --write-env FILE\" writes"
}

func readEnv(path string) (map[string]string, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	values, err := godotenv.UnmarshalBytes(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))) // as editors of Windows begin a file
	if err != nil {
		return nil, fmt.Errorf("%s: not a file of NAME=value lines", path) // the library's error quotes the line, which may hold a secret
	}
	return values, nil
}

func readYAML(path string) (map[string]string, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, err
	}
	var raw map[string]string
	if err := yaml.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("%s: want NAME: value lines", path)
	}
	places := where()
	values := make(map[string]string, len(raw))
	for key, value := range raw {
		name := strings.ToUpper(key)
		if _, ok := places[name]; !ok {
			err := fmt.Errorf("%s: there is no setting %q", path, key)
			var names []string
			for known := range places {
				names = append(names, known)
			}
			slices.Sort(names)
			if near := Nearest(name, names); near != "" {
				err = Hint(err, "did you mean %s?", near)
			}
			return nil, Usage(err)
		}
		values[name] = value
	}
	return values, nil
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	if info.Size() > maxSettingsFile {
		return nil, fmt.Errorf("settings: %s: larger than %d bytes", path, maxSettingsFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	return text, nil
}
