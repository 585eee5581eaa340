package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// TestTerminal runs testdata/terminal/*.txtar: commands at a pseudo-terminal of 80 columns. Beside what [TestScripts] has,
//
//	sit PERSON CMD…  starts a command on PERSON's terminal
//	see REGEXP       waits until the terminal shows it, after what was seen before
//	type TEXT        types TEXT and Enter; "type ^C" is Ctrl-C
//	approve PERSON   signs PERSON in with the device code seen last
//	leaves CODE      waits until the command has ended with this exit code, after Ctrl-C for two seconds; what was shown is in tty.out
func TestTerminal(t *testing.T) {
	commands := scriptCommands()
	commands["sit"], commands["see"], commands["type"], commands["approve"], commands["leaves"] = sit, see, typed, approveSeen, leaves
	testscript.Run(t, testscript.Params{Dir: filepath.Join("testdata", "terminal"), Cmds: commands, Setup: func(env *testscript.Env) error {
		env.Values[screenKey{}] = new(*screen)
		return setUpScript(env)
	}})
}

type screenKey struct{}

// screen is the terminal at which a command runs.
type screen struct {
	control *os.File
	cmd     *exec.Cmd
	done    chan struct{}

	interrupted bool

	mu   sync.Mutex
	text []byte
	seen int // how far the script has read
}

// openPTY returns both ends of a pseudo-terminal.
func openPTY() (control, tty *os.File, err error) {
	if control, err = os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		return nil, nil, err
	}
	fd := int(control.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	err = errors.Join(err, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0), unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
	if err != nil {
		return nil, nil, errors.Join(err, control.Close())
	}
	tty, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	return control, tty, err
}

func sit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: sit PERSON CMD…")
	}
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	control, tty, err := openPTY()
	ts.Check(err)
	s := &screen{control: control, cmd: exec.Command(path, args[2:]...), done: make(chan struct{})}
	s.cmd.Dir = ts.Getenv("WORK")
	s.cmd.Env, err = homeOf(ts, args[0])
	ts.Check(err)
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = tty, tty, tty
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	ts.Check(s.cmd.Start())
	_ = tty.Close()
	ts.Defer(func() { _, _ = s.cmd.Process.Kill(), control.Close() })
	go s.watch()
	if at, ok := ts.Value(screenKey{}).(**screen); ok {
		*at = s
	}
}

// watch keeps what the terminal shows until nobody writes there.
func (s *screen) watch() {
	chunk := make([]byte, 4096)
	for {
		n, err := s.control.Read(chunk)
		s.mu.Lock()
		s.text = append(s.text, chunk[:n]...)
		s.mu.Unlock()
		if err != nil {
			_ = s.cmd.Wait() // what counts is the exit code
			close(s.done)
			return
		}
	}
}

// patience is how long a command may take to end: after Ctrl-C, two seconds.
func (s *screen) patience() time.Duration {
	if s.interrupted {
		return stopTimeout
	}
	return startTimeout
}

func atScreen(ts *testscript.TestScript) *screen {
	at, ok := ts.Value(screenKey{}).(**screen)
	if !ok || *at == nil {
		ts.Fatalf("nobody sits at a terminal")
	}
	return *at
}

func see(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: see REGEXP")
	}
	s, want := atScreen(ts), regexp.MustCompile(args[0])
	for deadline := time.Now().Add(startTimeout); ; time.Sleep(10 * time.Millisecond) {
		s.mu.Lock()
		text := string(s.text)
		found := want.FindStringIndex(text[s.seen:])
		if found != nil {
			s.seen += found[1]
		}
		s.mu.Unlock()
		if found != nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("the terminal does not show %q:\n%q", args[0], text)
		}
	}
}

func typed(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: type TEXT")
	}
	s, text := atScreen(ts), args[0]+"\n"
	if s.interrupted = args[0] == "^C"; s.interrupted {
		text = "\x03"
	}
	_, err := s.control.WriteString(text)
	ts.Check(err)
}

func approveSeen(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: approve PERSON")
	}
	s := atScreen(ts)
	s.mu.Lock()
	codes := userCode.FindAll(bytes.ReplaceAll(s.text, []byte("\x1b[1m"), []byte(" ")), -1)
	s.mu.Unlock()
	if len(codes) == 0 {
		ts.Fatalf("no code was shown")
	}
	post(ts, ts.Getenv("ENTRA")+"/_local/devicecodes/"+string(codes[len(codes)-1])+"/approve", fmt.Sprintf(`{"user":%q}`, args[0]))
}

func leaves(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: leaves CODE")
	}
	s := atScreen(ts)
	select {
	case <-s.done:
	case <-time.After(s.patience()):
		ts.Fatalf("the command still runs:\n%q", s.text)
	}
	ts.Logf("[terminal]\n%s", strings.ReplaceAll(string(s.text), "\x1b", "␛"))
	ts.Check(os.WriteFile(ts.MkAbs("tty.out"), s.text, 0o600))
	if code := strconv.Itoa(s.cmd.ProcessState.ExitCode()); code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}
