package operator

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/onbehalf/onbehalf/internal/cli/shell"
)

// reportFile is the file of --report; nil writes nowhere.
type reportFile struct{ file *os.File }

// reportBegins is how the first line of a report begins.
const reportBegins = `{"origin":`

func openReport(path string) (*reportFile, error) {
	if path == "" {
		return nil, nil
	}
	err := replaceable(path)
	var file *os.File
	if err == nil {
		file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	}
	if err != nil {
		return nil, shell.Usage(fmt.Errorf("--report: %w", err))
	}
	return &reportFile{file}, nil
}

// replaceable refuses to empty what is no report, such as the documents themselves, and to write where a link leads.
func replaceable(path string) error {
	named, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	switch {
	case err == nil && !info.Mode().IsRegular(): // a pipe, a terminal
		return nil
	case named.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a link, which is not followed", path)
	case err != nil || info.Size() == 0:
		return err
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	begins := make([]byte, len(reportBegins))
	if n, _ := io.ReadFull(file, begins); string(begins[:n]) != reportBegins {
		return fmt.Errorf("%s is no report of an earlier upload: it is left as it is", path)
	}
	return nil
}

func (r *reportFile) write(f pushFailure) error {
	if r == nil {
		return nil
	}
	if err := shell.WriteJSON(r.file, f); err != nil {
		return fmt.Errorf("--report: %w", err)
	}
	return nil
}

func (r *reportFile) close() error {
	if r == nil {
		return nil
	}
	return r.file.Close()
}
