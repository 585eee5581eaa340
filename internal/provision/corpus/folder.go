package corpus

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/onbehalf/onbehalf/search"
)

// FolderFields are the fields of the index that a folder fills. Those that the index does not have are left out, but for
// Content, which it must have.
type FolderFields struct{ Name, Content, Section, Size string }

// DefaultFolderFields are those of the sample index.
func DefaultFolderFields() FolderFields {
	return FolderFields{Name: "name", Content: "content", Section: "section", Size: "size"}
}

// folder is a folder of Markdown and text files.
type folder struct {
	dir           string
	acl           *ACL
	files         []string // in order; position 1 is the first
	fields        FolderFields
	key           string
	users, groups string
	has           map[string]bool
}

// FolderNotes says what of a folder is not uploaded.
type FolderNotes struct {
	Others int // files that are neither Markdown nor text
	Links  int // symbolic links, which are not followed
}

// Folder is a folder of Markdown and text files, read by the rules of the ACL: the key comes from a file's path, the name
// from its first heading or its own name, the section is the first folder below dir. Hidden files and folders are passed
// over, links are not followed.
func Folder(dir string, acl *ACL, definition *search.Definition, fields FolderFields) (Source, FolderNotes, error) {
	f := &folder{dir: dir, acl: acl, fields: fields, has: map[string]bool{}}
	for i := range definition.Fields {
		field := &definition.Fields[i]
		f.has[field.Name] = true
		switch {
		case field.Key:
			f.key = field.Name
		case field.PermissionFilter == search.UserIDs:
			f.users = field.Name
		case field.PermissionFilter == search.GroupIDs:
			f.groups = field.Name
		}
	}
	switch {
	case definition.PermissionFilterOption != search.PermissionsEnabled, f.users == "", f.groups == "":
		return nil, FolderNotes{}, fmt.Errorf("index %s does not enforce permissions of users and groups: an ACL file would have no effect", definition.Name)
	case !f.has[fields.Content]:
		return nil, FolderNotes{}, fmt.Errorf("index %s has no field %q for the text of the files", definition.Name, fields.Content)
	}
	notes, err := f.list()
	return f, notes, err
}

func (f *folder) list() (notes FolderNotes, err error) {
	err = fs.WalkDir(os.DirFS(f.dir), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
		case entry.IsDir(), name == ACLName:
		case entry.Type()&fs.ModeSymlink != 0:
			notes.Links++
		case !entry.Type().IsRegular() || !isText(name):
			notes.Others++
		case len(f.files) == maxDocuments:
			return fmt.Errorf("more than %d files", maxDocuments)
		default:
			f.files = append(f.files, name)
		}
		return nil
	})
	if err != nil {
		return notes, fmt.Errorf("%s: %w", f.dir, err)
	}
	return notes, nil
}

func isText(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".md", ".markdown", ".txt":
		return true
	}
	return false
}

// Origin implements [Source].
func (f *folder) Origin(position int) string {
	if position < 1 || position > len(f.files) {
		return f.dir
	}
	return path.Join(f.dir, f.files[position-1])
}

// Entries implements [Source].
func (f *folder) Entries() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		root, err := os.OpenRoot(f.dir) // a link that appeared meanwhile leads nowhere else
		if err != nil {
			yield(Entry{}, err)
			return
		}
		defer func() { _ = root.Close() }()
		for i, name := range f.files {
			entry := Entry{Position: i + 1}
			var problem error
			if entry.Document, err = f.document(root, name); err != nil {
				problem = &InputError{Origin: f.Origin(i + 1), Err: err}
			}
			if !yield(entry, problem) {
				return
			}
		}
	}
}

func (f *folder) document(root *os.Root, name string) ([]byte, error) {
	readers, ok := f.acl.of(name)
	if !ok {
		return nil, fmt.Errorf("no rule of %s says who may read it; it is not made public", f.acl.path)
	}
	text, err := readText(root, name)
	if err != nil {
		return nil, err
	}
	section, _, below := strings.Cut(name, "/")
	if !below {
		section = ""
	}
	document := map[string]any{
		f.key: keyOf(name), f.fields.Content: text, f.users: readers.Users, f.groups: readers.Groups,
	}
	for field, value := range map[string]any{f.fields.Name: titleOf(name, text), f.fields.Section: section, f.fields.Size: len(text)} {
		if f.has[field] {
			document[field] = value
		}
	}
	return json.Marshal(document)
}

func readText(root *os.Root, name string) (string, error) {
	info, err := root.Lstat(name)
	switch {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", errors.New("is no longer a regular file")
	case info.Size() > maxDocument:
		return "", fmt.Errorf("%d bytes; the service takes 16 MB a request", info.Size())
	}
	text, err := root.ReadFile(name)
	if err != nil {
		return "", err
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return "", errors.New("is not a text in UTF-8")
	}
	return string(text), nil
}

// keyOf makes a key of a path: what a person recognizes, and a digest that keeps paths apart which look alike.
//
// https://learn.microsoft.com/rest/api/searchservice/naming-rules
func keyOf(name string) string {
	const most = 200
	readable := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.TrimSuffix(name, path.Ext(name)))
	if readable = strings.Trim(readable, "-"); len(readable) > most {
		readable = readable[:most]
	}
	digest := sha256.Sum256([]byte(name))
	return cmp.Or(readable, "file") + "-" + hex.EncodeToString(digest[:8])
}

// titleOf is the first heading of a Markdown file, else the file's name.
func titleOf(name, text string) string {
	if path.Ext(name) != ".txt" {
		for line := range strings.Lines(text) {
			if heading, ok := strings.CutPrefix(line, "# "); ok {
				if heading = strings.TrimSpace(strings.TrimRight(strings.TrimSpace(heading), "#")); heading != "" {
					return heading
				}
			}
		}
	}
	return strings.TrimSuffix(path.Base(name), path.Ext(name))
}
