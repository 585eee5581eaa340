package corpus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/onbehalf/onbehalf/identity"
)

// ACLName is what the file is called that says who may read the files of a folder.
const ACLName = "acl.yaml"

// Bounds of an ACL file.
const (
	maxACLFile  = 4 << 20
	maxACLRules = 10_000
)

// ACL says who may read the files of a folder: the first rule whose path fits a file decides, and a file that no rule fits
// is refused.
type ACL struct {
	path  string
	rules []*rule
}

// rule is a rule as it stands in the file, and what became of it.
type rule struct {
	Path     string   `yaml:"path"`     // "handbook/**", "people/*.md", "a.md"
	Everyone bool     `yaml:"everyone"` // also callers without a person
	Nobody   bool     `yaml:"nobody"`
	Users    []string `yaml:"users"`  // object ids or user principal names
	Groups   []string `yaml:"groups"` // object ids or display names

	line    int
	pattern *regexp.Regexp
	used    bool
	readers Readers
}

// Readers are who may read a file, as the permission fields say it.
type Readers struct{ Users, Groups []string }

// ReadACL reads the file whole and reports every mistake in it.
func ReadACL(path string) (*ACL, error) {
	file, err := os.Open(path) //nolint:gosec // the person names the folder
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxACLFile+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxACLFile {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxACLFile)
	}
	acl, err := parseACL(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	acl.path = path
	return acl, nil
}

func parseACL(text []byte) (*ACL, error) {
	var file struct {
		Rules []yaml.Node `yaml:"rules"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		return nil, fmt.Errorf("want a list \"rules\" of path, users, groups, everyone, nobody: %w", err)
	}
	if len(file.Rules) == 0 || len(file.Rules) > maxACLRules {
		return nil, fmt.Errorf("%d rules, want 1 to %d", len(file.Rules), maxACLRules)
	}
	acl := &ACL{}
	var errs []error
	for i := range file.Rules {
		r, err := parseRule(&file.Rules[i])
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", file.Rules[i].Line, err))
		}
		acl.rules = append(acl.rules, r)
	}
	return acl, errors.Join(errs...)
}

func parseRule(node *yaml.Node) (*rule, error) {
	known := []string{"path", "everyone", "nobody", "users", "groups"}
	for i := 0; node.Kind == yaml.MappingNode && i < len(node.Content); i += 2 {
		if name := node.Content[i].Value; !slices.Contains(known, name) {
			return nil, fmt.Errorf("there is no %q: want %s", clip(name), strings.Join(known, ", "))
		}
	}
	r := &rule{line: node.Line}
	if err := node.Decode(r); err != nil {
		return nil, errors.New("want path, and users, groups, everyone or nobody")
	}
	if r.Path == "" {
		return nil, errors.New("path is missing")
	}
	var err error
	if r.pattern, err = glob(r.Path); err != nil {
		return nil, err
	}
	kinds := 0
	for _, given := range []bool{r.Everyone, r.Nobody, len(r.Users)+len(r.Groups) > 0} {
		if given {
			kinds++
		}
	}
	switch {
	case kinds == 0:
		return nil, errors.New("says nothing of who may read: give users, groups, \"everyone: true\" or \"nobody: true\"")
	case kinds > 1:
		return nil, errors.New("give one of: users and groups, \"everyone: true\", \"nobody: true\"")
	case len(r.Users) > maxReaders || len(r.Groups) > maxReaders:
		return nil, fmt.Errorf("%d users and %d groups; the service takes %d of each at most (%s)", len(r.Users), len(r.Groups), maxReaders, readersSource)
	}
	return r, nil
}

// glob compiles a path with *, ? and **, which also crosses folders. Paths are relative to the folder, with slashes.
func glob(path string) (*regexp.Regexp, error) {
	if strings.HasPrefix(path, "/") || strings.Contains(path, "\\") || strings.Contains("/"+path+"/", "/../") {
		return nil, fmt.Errorf("path %q: want one relative to the folder, with slashes", clip(path))
	}
	var out strings.Builder
	out.WriteString("^")
	for rest := path; rest != ""; {
		switch {
		case strings.HasPrefix(rest, "**/"):
			out.WriteString("(?:.*/)?")
			rest = rest[3:]
		case strings.HasPrefix(rest, "**"):
			out.WriteString(".*")
			rest = rest[2:]
		case rest[0] == '*':
			out.WriteString("[^/]*")
			rest = rest[1:]
		case rest[0] == '?':
			out.WriteString("[^/]")
			rest = rest[1:]
		default:
			next := strings.IndexAny(rest, "*?")
			if next < 0 {
				next = len(rest)
			}
			out.WriteString(regexp.QuoteMeta(rest[:next]))
			rest = rest[next:]
		}
	}
	return regexp.Compile("(?s)" + out.String() + "$")
}

// Kind says what a name is the name of.
type Kind string

// The kinds of reader.
const (
	User  Kind = "user"
	Group Kind = "group"
)

// Resolve asks for the object id of every name that is none: find returns "" for one that is not in the directory. Such a
// name is left out, which lets nobody read who should not, and is in the warnings.
func (a *ACL) Resolve(ctx context.Context, find func(ctx context.Context, kind Kind, name string) (string, error)) (warnings []string, err error) {
	known := map[string]string{}
	for _, r := range a.rules {
		var lost int
		lookUp := func(kind Kind, names []string) (ids []string, err error) {
			for _, name := range names {
				id, ok := known[string(kind)+name]
				if !ok {
					if id, err = a.resolve(ctx, kind, name, find); err != nil {
						return nil, fmt.Errorf("%s: line %d: %s %q: %w", a.path, r.line, kind, clip(name), err)
					}
					known[string(kind)+name] = id
				}
				if id == "" {
					lost++
					warnings = append(warnings, fmt.Sprintf("%s: line %d: there is no %s %q: left out", a.path, r.line, kind, clip(name)))
					continue
				}
				ids = append(ids, id)
			}
			return ids, nil
		}
		if r.readers.Users, err = lookUp(User, r.Users); err != nil {
			return warnings, err
		}
		if r.readers.Groups, err = lookUp(Group, r.Groups); err != nil {
			return warnings, err
		}
		if lost > 0 && len(r.readers.Users)+len(r.readers.Groups) == 0 {
			warnings = append(warnings, fmt.Sprintf("%s: line %d: nobody is left who may read %s", a.path, r.line, clip(r.Path)))
		}
	}
	return warnings, nil
}

func (a *ACL) resolve(ctx context.Context, kind Kind, name string, find func(context.Context, Kind, string) (string, error)) (string, error) {
	if id, err := identity.ParseObjectID(name); err == nil {
		return id.String(), nil
	}
	return find(ctx, kind, name)
}

// of returns who may read a file; false when no rule says so.
func (a *ACL) of(path string) (Readers, bool) {
	for _, r := range a.rules {
		if !r.pattern.MatchString(path) {
			continue
		}
		r.used = true
		if r.Everyone {
			return Readers{[]string{everyone}, []string{nobody}}, true
		}
		readers := Readers{r.readers.Users, r.readers.Groups}
		if len(readers.Users) == 0 {
			readers.Users = []string{nobody}
		}
		if len(readers.Groups) == 0 {
			readers.Groups = []string{nobody}
		}
		return readers, true
	}
	return Readers{}, false
}

// Unused lists the rules that no file was found for, once the folder was read.
func (a *ACL) Unused() []string {
	var out []string
	for _, r := range a.rules {
		if !r.used {
			out = append(out, fmt.Sprintf("%s: line %d: %s fits no file, or another rule decides before it", a.path, r.line, clip(r.Path)))
		}
	}
	return out
}
