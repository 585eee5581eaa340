package client

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// browserCommand returns the program that opens a URL here, and its arguments before the URL.
func (o *options) browserCommand() []string {
	if own, ok := o.sh.Environ("BROWSER"); ok && own != "" {
		return []string{own}
	}
	switch runtime.GOOS {
	case "darwin":
		return []string{"open"}
	case "windows":
		return []string{"rundll32", "url.dll,FileProtocolHandler"}
	}
	if _, remote := o.sh.Environ("SSH_CONNECTION"); remote {
		return nil // the browser would open there, or not at all
	}
	_, x := o.sh.Environ("DISPLAY")
	_, wayland := o.sh.Environ("WAYLAND_DISPLAY")
	if !x && !wayland {
		return nil
	}
	return []string{"xdg-open"}
}

func (o *options) hasBrowser() bool {
	command := o.browserCommand()
	if len(command) == 0 {
		return false
	}
	_, err := exec.LookPath(command[0])
	return err == nil
}

// openTime is how soon a program that cannot open a browser has said so.
const openTime = 700 * time.Millisecond

// openBrowser starts the browser without a shell, and only for https.
func (o *options) openBrowser(ctx context.Context, address string) error {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" {
		return errors.New("the address is not https")
	}
	command := o.browserCommand()
	if len(command) == 0 {
		return errors.New("there is none here")
	}
	fmt.Fprintf(o.sh.Err, "Your browser opens for the sign-in at %s (Ctrl-C gives up)\n", u.Host)
	cmd := exec.CommandContext(ctx, command[0], append(command[1:], address)...) //nolint:gosec // the person's own browser
	cmd.Stdout, cmd.Stderr = nil, nil                                            // what it says is not ours
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // it may stay open; the sign-in does not wait for it
	settled := time.NewTimer(openTime)
	defer settled.Stop()
	select {
	case err := <-ended:
		return err
	case <-settled.C:
		return nil
	}
}

// hasDesktop reports whether a desktop's keyring may be there: to ask for one that is not would start a bus.
func (o *options) hasDesktop() bool {
	if runtime.GOOS != "linux" {
		return true
	}
	if address, ok := o.sh.Environ("DBUS_SESSION_BUS_ADDRESS"); ok && address != "" {
		return address != "disabled:"
	}
	dir, ok := o.sh.Environ("XDG_RUNTIME_DIR")
	if !ok || dir == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(dir, "bus"))
	return err == nil
}
