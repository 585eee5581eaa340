// Package scripts runs the scripts that set-up prints through shellcheck, and starts them with other shells than bash.
package scripts
