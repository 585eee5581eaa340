package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/onbehalf/onbehalf/internal/cli"
	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

// TestMain makes the test binary the command onbehalf, too: scripts run the real main in processes of their own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"onbehalf": func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		sh := shell.New()
		if ahead, err := time.ParseDuration(os.Getenv(clockAhead)); err == nil {
			sh.Now = func() time.Time { return time.Now().Add(ahead) }
		}
		code := cli.Main(ctx, sh, os.Args[1:])
		stop()
		os.Exit(code)
	}, "mallory": mallory, "connectproxy": connectProxy, "fakearm": fakeARM})
}

// clockAhead is the variable that says by how much a command's clock is ahead of the others': "1h", "-1h".
const clockAhead = "ONBEHALF_TEST_AHEAD"

// TestScripts runs testdata/script/*.txtar. Beside testscript's own commands there are
//
//	stack [local's flags]      starts "onbehalf local" and "onbehalf serve" and waits for both; $ENVFILE, $MCP, $ENTRA, $SEARCH
//	                           name them. They end with the script.
//	background NAME WORD CMD…  starts a command and waits until it has printed WORD; its output is in NAME.out and NAME.err
//	interrupt NAME             sends it Ctrl-C; fails unless it ends within two seconds
//	as PERSON CMD…             runs a command in PERSON's home, on PERSON's terminal: device codes that it shows are approved
//	                           as that person at the local Entra. Its output is in as.out and as.err, for grep, its exit code
//	                           in as.code. "as PERSON@OTHER" does it in OTHER's home
//	together PERSON PERSON CMD… runs a command twice at once in the first person's home, one on each person's terminal
//	freeport NAME              sets NAME to a port that nothing listens at
//	exits CODE CMD…            runs a command that must end with this exit code
//	graphtoken FILE OID SCOPES writes an access token for Microsoft Graph of the person with this object id
//	send METHOD URL BODY [HEADER…] sends JSON, such as to $SEARCH/_local/faults; a header is written "name: value"
//
// "env ONBEHALF_TEST_AHEAD=1h" sets the clock of the commands that start after it.
//
// The key of the token cache comes from a passphrase, because containers have no keyring: a script that is about keyrings
// says "env CACHE_PASSPHRASE_FILE=".
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: filepath.Join("testdata", "script"), Cmds: scriptCommands(), Setup: setUpScript})
}

func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"stack": stack, "background": background, "interrupt": interrupt, "as": as, "together": together, "exits": exits, "graphtoken": graphToken,
		"send": send,
		"freeport": func(ts *testscript.TestScript, _ bool, args []string) {
			_, port, err := net.SplitHostPort(freeAddr(ts))
			ts.Check(err)
			ts.Setenv(args[0], port)
		},
	}
}

func setUpScript(env *testscript.Env) error {
	home := filepath.Join(env.WorkDir, "home")
	env.Setenv("HOME", home)
	env.Setenv("XDG_CONFIG_HOME", filepath.Join(home, ".config"))
	env.Values[processesKey{}] = map[string]*process{}
	passphrase := filepath.Join(home, "passphrase")
	env.Setenv("CACHE_PASSPHRASE_FILE", passphrase)
	return errors.Join(os.MkdirAll(home, 0o700), os.WriteFile(passphrase, []byte("open sesame\n"), 0o600))
}

type processesKey struct{}

// process is a command in the background.
type process struct {
	cmd  *exec.Cmd
	done chan error
}

const (
	startTimeout = 30 * time.Second
	stopTimeout  = 2 * time.Second

	commandTimeout = 2 * time.Minute // such as a sign-in that nobody approves
)

func processes(ts *testscript.TestScript) map[string]*process {
	all, ok := ts.Value(processesKey{}).(map[string]*process)
	if !ok {
		ts.Fatalf("no processes")
	}
	return all
}

// launch starts a command and waits until its output, in either stream, has word.
func launch(ts *testscript.TestScript, name, word string, args []string) {
	path, err := exec.LookPath(args[0])
	ts.Check(err)
	p := &process{cmd: exec.Command(path, args[1:]...), done: make(chan error, 1)}
	p.cmd.Dir = ts.Getenv("WORK")
	p.cmd.Env = environ(ts)
	seen := make(chan struct{})
	watch := &watcher{word: word, seen: seen}
	out, err := os.Create(ts.MkAbs(name + ".out"))
	ts.Check(err)
	errs, err := os.Create(ts.MkAbs(name + ".err"))
	ts.Check(err)
	p.cmd.Stdout, p.cmd.Stderr = io.MultiWriter(out, watch), io.MultiWriter(errs, watch)
	ts.Check(p.cmd.Start())
	go func() {
		p.done <- p.cmd.Wait()
		_, _ = out.Close(), errs.Close()
	}()
	processes(ts)[name] = p
	ts.Defer(func() { _ = p.cmd.Process.Kill() })
	select {
	case <-seen:
	case err := <-p.done:
		p.done <- err
		text, _ := os.ReadFile(ts.MkAbs(name + ".err"))
		ts.Fatalf("%s ended before it said %q: %v\n%s", name, word, err, text)
	case <-time.After(startTimeout):
		ts.Fatalf("%s did not say %q within %s", name, word, startTimeout)
	}
}

// watcher closes seen when a word went by.
type watcher struct {
	word string
	seen chan struct{}
	text []byte
	done bool
}

func (w *watcher) Write(b []byte) (int, error) {
	if !w.done {
		w.text = append(w.text, b...)
		if w.done = bytes.Contains(w.text, []byte(w.word)); w.done {
			close(w.seen)
		}
	}
	return len(b), nil
}

func background(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: background NAME WORD CMD…")
	}
	launch(ts, args[0], args[1], args[2:])
}

func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 || processes(ts)[args[0]] == nil {
		ts.Fatalf("usage: interrupt NAME")
	}
	p := processes(ts)[args[0]]
	ts.Check(p.cmd.Process.Signal(os.Interrupt))
	select {
	case err := <-p.done:
		if err != nil {
			ts.Fatalf("%s ended with %v", args[0], err)
		}
	case <-time.After(stopTimeout):
		ts.Fatalf("%s still runs %s after Ctrl-C", args[0], stopTimeout)
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE CMD…")
	}
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("%s ended with exit code %d, want %s", args[1], code, args[0])
	}
}

func stack(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: stack [flags of local]")
	}
	file := ts.MkAbs("stack.env")
	ts.Setenv("ENVFILE", file)
	launch(ts, "local", "ready", append([]string{"onbehalf", "local", "--entra-addr", "127.0.0.1:0", "--search-addr", "127.0.0.1:0", "--write-env", file}, args...))
	addr := freeAddr(ts)
	_, port, err := net.SplitHostPort(addr)
	ts.Check(err)
	text, err := os.ReadFile(file)
	ts.Check(err)
	mcp := "http://localhost:" + port + "/mcp"
	settings := regexp.MustCompile(`(?m)^MCP_URL=.*$`).ReplaceAllString(string(text), "MCP_URL="+mcp)
	ts.Check(os.WriteFile(file, []byte(settings), 0o600))
	ts.Setenv("MCP", mcp)
	ts.Setenv("PORT", port)
	ts.Setenv("ENTRA", strings.TrimSuffix(setting(settings, "AZURE_AUTHORITY_HOST"), "/"))
	ts.Setenv("SEARCH", setting(settings, "AZURE_SEARCH_ENDPOINT"))
	ts.Setenv("CA", setting(settings, "ONBEHALF_CA_FILE"))
	ts.Setenv("ADMIN_KEY", setting(settings, "SEARCH_ADMIN_KEY"))
	launch(ts, "serve", "serving", []string{"onbehalf", "serve", "--env", file, "--addr", addr, "--admin-addr", ""})
}

func setting(text, name string) string {
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func freeAddr(ts *testscript.TestScript) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	defer listener.Close()
	return listener.Addr().String()
}

// userCode is what a device code looks like on a terminal.
var userCode = regexp.MustCompile(`\b[A-Z0-9]{9}\b`)

func as(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: as PERSON CMD…")
	}
	person, home, elsewhere := strings.Cut(args[0], "@")
	if !elsewhere {
		home = person
	}
	stdout, stderr, err := perform(ts, person, home, args[1:])
	ts.Logf("[stdout of %s]\n%s[stderr of %s]\n%s", person, stdout, person, stderr)
	code := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		code = exit.ExitCode()
	}
	ts.Check(os.WriteFile(ts.MkAbs("as.out"), stdout, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("as.err"), stderr, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("as.code"), []byte(strconv.Itoa(code)+"\n"), 0o600))
	expect(ts, neg, person, err)
}

// expect fails the script unless a person's command ended as the script says.
func expect(ts *testscript.TestScript, neg bool, person string, err error) {
	switch {
	case err != nil && !neg:
		ts.Fatalf("as %s: %v", person, err)
	case err == nil && neg:
		ts.Fatalf("as %s: unexpected success", person)
	}
}

func together(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 3 {
		ts.Fatalf("usage: together PERSON PERSON CMD…")
	}
	var outs, logs [2][]byte
	var errs [2]error
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() { outs[i], logs[i], errs[i] = perform(ts, args[i], args[0], args[2:]) })
	}
	group.Wait()
	for i, err := range errs {
		ts.Logf("[stdout of %s]\n%s[stderr of %s]\n%s", args[i], outs[i], args[i], logs[i])
		expect(ts, neg, args[i], err)
	}
}

// perform runs a command on person's terminal, in the home of another or her own.
func perform(ts *testscript.TestScript, person, home string, command []string) (out, errs []byte, err error) {
	path, err := exec.LookPath(command[0])
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, command[1:]...)
	cmd.Dir, cmd.WaitDelay = ts.Getenv("WORK"), stopTimeout
	if cmd.Env, err = homeOf(ts, home); err != nil {
		return nil, nil, err
	}
	var stdout, stderr bytes.Buffer
	reader, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&stdout, writer), io.MultiWriter(&stderr, writer)
	approved := make(chan struct{})
	go func() { defer close(approved); approve(ts, reader, person) }()
	err = cmd.Run()
	_ = writer.Close()
	<-approved
	return stdout.Bytes(), stderr.Bytes(), err
}

// homeOf is the environment in a person's home.
func homeOf(ts *testscript.TestScript, person string) ([]string, error) {
	home := ts.MkAbs(filepath.Join("people", person))
	return append(environ(ts), "HOME="+home, "XDG_CONFIG_HOME="+filepath.Join(home, ".config"), "XDG_CACHE_HOME="+filepath.Join(home, ".cache"),
		"XDG_STATE_HOME="+filepath.Join(home, ".state")), os.MkdirAll(home, 0o700)
}

// approve reads what a command shows and signs the person in with each new device code.
func approve(ts *testscript.TestScript, shown io.Reader, person string) {
	entra := ts.Getenv("ENTRA")
	done := map[string]bool{}
	lines := bufio.NewReader(shown)
	for {
		line, err := lines.ReadString('\n')
		for _, code := range userCode.FindAllString(line, -1) {
			if entra != "" && !done[code] {
				done[code] = true
				post(ts, entra+"/_local/devicecodes/"+code+"/approve", fmt.Sprintf(`{"user":%q}`, person))
			}
		}
		if err != nil {
			_, _ = io.Copy(io.Discard, shown)
			return
		}
	}
}

func post(ts *testscript.TestScript, address, body string) []byte {
	_, answer, err := request(ts, http.MethodPost, address, body)
	if err != nil {
		return nil
	}
	return answer
}

// send fails the script unless the answer is 2xx.
func send(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: send METHOD URL BODY [HEADER…]")
	}
	status, answer, err := request(ts, args[0], args[1], args[2], args[3:]...)
	ts.Check(err)
	if status > 299 {
		ts.Fatalf("%s %s: HTTP %d: %s", args[0], args[1], status, answer)
	}
}

func request(ts *testscript.TestScript, method, address, body string, headers ...string) (status int, answer []byte, err error) {
	pem, err := os.ReadFile(ts.Getenv("CA"))
	if err != nil {
		return 0, nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}, Timeout: startTimeout}
	req, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// graphToken asks the local Entra's control API to sign a token.
func graphToken(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: graphtoken FILE OID SCOPES")
	}
	now := time.Now().Unix()
	answer := post(ts, ts.Getenv("ENTRA")+"/_local/tokens", fmt.Sprintf(
		`{"claims":{"aud":"00000003-0000-0000-c000-000000000000","oid":%q,"scp":%q,"iat":%d,"nbf":%d,"exp":%d}}`, args[1], args[2], now, now-60, now+3600))
	var signed struct {
		Token string `json:"access_token"`
	}
	if json.Unmarshal(answer, &signed) != nil || signed.Token == "" {
		ts.Fatalf("no token: %s", answer)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(signed.Token), 0o600))
}

// environ is the script's environment.
func environ(ts *testscript.TestScript) []string {
	var env []string
	for _, name := range []string{"PATH", "HOME", "XDG_CONFIG_HOME", "WORK", "TMPDIR", "ENVFILE", "NO_COLOR", "HTTPS_PROXY", "SSL_CERT_FILE", "BROWSER", "CACHE_PASSPHRASE_FILE", "TERM", "GOCOVERDIR"} {
		if value := ts.Getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return env
}
