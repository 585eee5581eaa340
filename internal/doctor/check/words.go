package check

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/onbehalf/onbehalf/entra"
	"github.com/onbehalf/onbehalf/internal/doctor/exam"
)

// Where people find things.
const (
	PortalApp    = "Entra admin center > App registrations > the API"
	PortalClient = "Entra admin center > App registrations > the public client"
	PortalAgent  = "Entra admin center > App registrations > the web agent"
	PortalSearch = "Azure portal > the search service"
)

// Refused turns an answer of Entra's into a finding, in the catalogue's words. Who looks at a set-up is its operator.
func Refused(e *entra.Error) exam.Finding {
	advice := e.Advice()
	seen := strings.TrimPrefix(e.Error(), "entra: ")
	if n := e.Number(); n != 0 {
		seen = fmt.Sprintf("AADSTS%d (%s)", n, Clipped(e.Code))
	}
	if e.Correlation != "" {
		seen += ", correlation id " + Clipped(e.Correlation)
	}
	fix := advice.Fix
	if advice.Who == entra.Admin || advice.Who == entra.Maker {
		fix = strings.ToUpper(advice.Who[:1]) + advice.Who[1:] + ": " + fix
	}
	return exam.Failed(seen, advice.Cause, fix)
}

// Expiry judges how long something is still good.
func Expiry(end time.Time, s *State, what, fix string) exam.Finding {
	seen := fmt.Sprintf("%s is good until %s", what, end.UTC().Format(time.DateOnly))
	switch left := end.Sub(s.Now()); {
	case left <= 0:
		return exam.Failed(fmt.Sprintf("%s expired on %s", what, end.UTC().Format(time.DateOnly)), "Entra no longer accepts it.", fix)
	case left < s.LooksFor:
		return exam.Warned(seen, fmt.Sprintf("That is %d days from now.", int(left.Hours()/24)), fix)
	}
	return exam.Good("%s", seen)
}

// Clipped bounds a foreign text and keeps it on one line.
func Clipped(text string) string {
	const most = 160
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return strings.Join(strings.Fields(text), " ")
}

// FirstLine is the first line of an error: libraries quote whole answers below it.
func FirstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return Clipped(line)
}

// Plural counts something.
func Plural[N int | int64](n N, one, many string) string {
	if n == 1 {
		many = one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// maxFile bounds what is read of a file that a setting names.
const maxFile = 1 << 20

// ReadSmall reads a file that a setting names, if it is small.
func ReadSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // a pipe never ends
		return nil, fmt.Errorf("%s: not a file", path)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxFile)
	}
	return os.ReadFile(path) //nolint:gosec // a file that the settings name
}
