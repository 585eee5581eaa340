// Package envfile changes files of NAME=value lines, such as .env: it sets some names and leaves every other line as it
// is. A change is whole or not there at all, and only the owner can read the file.
//
// It decides nothing about which file a setting is read from; see package internal/cli/shell.
package envfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/joho/godotenv"
)

// Setting is what a name is to be. Off takes it out of force: its line stays as a comment.
type Setting struct {
	Name, Value string
	Off         bool
}

// File is a settings file as it was read.
type File struct {
	path   string
	text   string
	values map[string]string
	exists bool
}

// maxSize bounds a settings file.
const maxSize = 1 << 20

// Read reads a file; one that is not there is empty. Anything but a regular file is refused: a link could lead the
// settings of one place into another.
func Read(path string) (*File, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &File{path: path, values: map[string]string{}}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("settings file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("settings file: %s is not a regular file", path)
	}
	opened, err := os.Open(path) //nolint:gosec // the file that the person names
	if err != nil {
		return nil, fmt.Errorf("settings file: %w", err)
	}
	defer func() { _ = opened.Close() }()
	text, err := io.ReadAll(io.LimitReader(opened, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("settings file: %w", err)
	}
	if len(text) > maxSize {
		return nil, fmt.Errorf("settings file: %s is larger than %d bytes", path, maxSize)
	}
	values, err := godotenv.UnmarshalBytes(text)
	if err != nil {
		return nil, fmt.Errorf("settings file: %s is not a file of NAME=value lines", path) // the library's error quotes the line, which may hold a secret
	}
	return &File{path: path, text: string(text), values: values, exists: true}, nil
}

// Path returns where the file is.
func (f *File) Path() string { return f.path }

// Exists reports whether the file was there.
func (f *File) Exists() bool { return f.exists }

// Get returns a value, "" when the name is not set.
func (f *File) Get(name string) string { return f.values[name] }

// Set changes the file on disk, and this copy. A file that would not read back as meant, such as one in which a quoted
// value goes over several lines that look like settings, is left as it is.
func (f *File) Set(settings ...Setting) error {
	want := maps.Clone(f.values)
	for _, s := range settings {
		if !nameForm().MatchString(s.Name) {
			return fmt.Errorf("settings file: %q is no name of a setting", s.Name)
		}
		if s.Off {
			delete(want, s.Name)
			continue
		}
		want[s.Name] = s.Value
	}
	text, err := edit(f.text, settings)
	if err != nil {
		return err
	}
	if got, err := godotenv.Unmarshal(text); err != nil || !maps.Equal(got, want) {
		return fmt.Errorf("settings file: %s cannot be changed without changing other settings in it; move these to another file", f.path)
	}
	if text != f.text || !f.exists || !f.private() {
		if err := replace(f.path, text); err != nil {
			return err
		}
	}
	f.text, f.values, f.exists = text, want, true
	return nil
}

func (f *File) private() bool {
	info, err := os.Lstat(f.path)
	return err == nil && info.Mode().Perm()&0o077 == 0
}

// nameForm is what a name may be.
func nameForm() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`) }

// edit sets the first line of each name, makes comments of its others, and appends what is new.
func edit(text string, settings []Setting) (string, error) {
	newline := "\n"
	if strings.Contains(text, "\r\n") {
		newline = "\r\n"
	}
	lines := slices.Collect(strings.Lines(text))
	if n := len(lines); n > 0 && !strings.HasSuffix(lines[n-1], "\n") {
		lines[n-1] += newline
	}
	for _, s := range settings {
		value, err := quote(s)
		if err != nil {
			return "", err
		}
		own := regexp.MustCompile(`^\s*(export\s+)?` + regexp.QuoteMeta(s.Name) + `\s*[=:]`)
		done := s.Off
		for i, line := range lines {
			switch {
			case !own.MatchString(line):
			case !done:
				lines[i], done = s.Name+"="+value+newline, true
			default:
				lines[i] = "# " + line
			}
		}
		if !done {
			lines = append(lines, s.Name+"="+value+newline)
		}
	}
	return strings.Join(lines, ""), nil
}

// quote writes a value so that programs of all kinds read it back. Quotes come only where they must: some readers, such
// as Docker's, take them for a part of the value.
func quote(s Setting) (string, error) {
	plain := regexp.MustCompile(`^[A-Za-z0-9_./:@~%+,=&?;-]*$`)
	switch {
	case s.Off:
		return "", nil
	case strings.ContainsAny(s.Value, "\r\n\x00"):
		return "", fmt.Errorf("settings file: the value of %s has more than one line", s.Name)
	case plain.MatchString(s.Value):
		return s.Value, nil
	case !strings.ContainsAny(s.Value, `'\`):
		return "'" + s.Value + "'", nil
	default:
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(s.Value) + `"`, nil
	}
}

// replace writes a file of mode 0600 in one step.
func replace(path, text string) error {
	temporary, err := os.CreateTemp(filepath.Dir(path), ".onbehalf-*") // mode 0600
	if err != nil {
		return fmt.Errorf("settings file: %w", err)
	}
	_, err = temporary.WriteString(text)
	err = errors.Join(err, temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("settings file: %w", errors.Join(err, os.Remove(temporary.Name())))
	}
	return nil
}
