package operator

import (
	"errors"
	"fmt"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
	"github.com/onbehalf/onbehalf/internal/provision/acl"
)

// maxPredicted bounds how many documents of a prediction are listed; all are counted.
const maxPredicted = 10_000

// verdict is what --json prints.
type verdict struct {
	Index       string          `json:"index"`
	Permissions string          `json:"permissions"` // where they were taken from
	Enforced    bool            `json:"enforced"`
	Documents   *int64          `json:"documents,omitempty"` // of the index, where they may be counted
	Same        bool            `json:"same"`                // nothing differs for those who were verified
	People      []personVerdict `json:"people"`
}

type personVerdict struct {
	Name        string           `json:"name"`
	Object      string           `json:"object,omitempty"`
	Verified    bool             `json:"verified"` // false: predicted, since this person has not signed in here
	Groups      int              `json:"groups"`
	Allowed     int              `json:"allowed"`
	Returned    int              `json:"returned"`
	Leaks       int              `json:"leaks"`               // returned, and not allowed
	Missing     int              `json:"missing"`             // allowed, and not returned
	Undecided   int              `json:"undecided,omitempty"` // not allowed by users and groups, and roles on storage may
	Differences []acl.Difference `json:"differences"`
	Predicted   []string         `json:"predicted,omitempty"`
	Error       string           `json:"error,omitempty"` // why it could not be verified
}

func (v *verifyACL) report(result *verdict, failure error) error {
	predicted, differ, undecided := 0, 0, 0
	for i := range result.People {
		p := &result.People[i]
		if !p.Verified {
			predicted++
		}
		if p.Leaks+p.Missing > 0 {
			differ++
		}
		if p.Undecided > 0 {
			undecided++
		}
	}
	result.Same = differ == 0 && failure == nil
	if v.asJSON {
		if err := shell.WriteJSON(v.Out, result); err != nil {
			return err
		}
	} else {
		v.show(result)
	}
	if differ > 0 {
		failure = errors.Join(fmt.Errorf("for %d of %d the service returns other documents than the permissions allow", differ, len(result.People)), failure)
	}
	switch {
	case failure != nil:
		return failure
	case predicted > 0:
		return shell.Exit(exitPredicted, shell.Hint(fmt.Errorf("for %d of %d it was only predicted: nobody can be impersonated", predicted, len(result.People)),
			"they sign in on this machine with: %s", v.o.people.LoginHint()))
	case undecided > 0:
		return shell.Exit(exitPredicted, fmt.Errorf("for %d of %d roles on storage may decide about documents, which cannot be verified", undecided, len(result.People)))
	}
	return nil
}

// maxListedLines bounds what a person gets to read; --json has more.
const maxListedLines = 20

func (v *verifyACL) show(result *verdict) {
	line := func(format string, args ...any) {
		fmt.Fprintln(v.Out, shell.PrintableLine(fmt.Sprintf(format, args...)))
	}
	count := ""
	if result.Documents != nil {
		count = fmt.Sprintf("%d documents, ", *result.Documents)
	}
	line("index %s: %sby %s", result.Index, count, result.Permissions)
	for i := range result.People {
		p := &result.People[i]
		switch {
		case p.Error != "":
			line("x %s: could not be verified", p.Name)
		case !p.Verified:
			line("? %s: predicted, has not signed in on this machine: %d documents, %d groups", p.Name, p.Allowed, p.Groups)
			for n, key := range p.Predicted {
				if n == maxListedLines {
					line("    … and %d more", p.Allowed-n)
					break
				}
				line("    %s", key)
			}
		case p.Leaks+p.Missing == 0 && p.Undecided > 0:
			line("? %s: %d documents, as far as users and groups say; %d undecided: roles on storage may allow them", p.Name, p.Returned, p.Undecided)
		case p.Leaks+p.Missing == 0:
			line("= %s: %d documents, as the permissions say", p.Name, p.Returned)
		default:
			line("! %s: %d documents returned, %d allowed; %d returned that are not allowed, %d allowed that are not returned", p.Name, p.Returned, p.Allowed, p.Leaks, p.Missing)
			for n, d := range p.Differences {
				if n == maxListedLines {
					line("    … and %d more", p.Leaks+p.Missing-n)
					break
				}
				word := "allowed, not returned"
				if d.Returned {
					word = "RETURNED, NOT ALLOWED"
				}
				line("    %s: %s", d.Key, word)
			}
		}
	}
}
