package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// The layout of a data directory:
//
//	FORMAT          "samsa 2\n"; written first, so that a directory without it is not ours
//	LOCK            while it is open, where locks are files
//	index/
//	values/         value files: what was committed (frame.go)
const (
	FormatVersion = 2
	formatName    = "FORMAT"
	formatTemp    = "FORMAT.tmp"
	formatPrefix  = "samsa "
	indexName     = "index"
	valuesName    = "values"
)

// prepareDir makes sure that dir is a data directory of a format we know, and makes an
// empty one into one, unless it is read only. The caller holds the lock of dir.
func prepareDir(dir string, readOnly bool) error {
	text, err := os.ReadFile(filepath.Join(dir, formatName))
	switch {
	case errors.Is(err, fs.ErrNotExist) && !readOnly: // else it has gone just now
		err = cmp.Or(checkEmpty(dir), checkWritable(dir))
		if err == nil {
			err = writeFormat(dir)
		}
	case err == nil:
		err = checkFormat(string(text))
	}
	if err != nil || readOnly {
		return damagedFormat(dir, err)
	}
	for _, sub := range []string{indexName, valuesName} {
		if err := checkWritable(filepath.Join(dir, sub)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// checkThere refuses a directory in which nothing says that it is a store.
func checkThere(dir string) error {
	_, err := os.Stat(filepath.Join(dir, formatName))
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := checkEmpty(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return damagedFormat(dir, err)
	}
	return ErrNotExist
}

// damagedFormat returns the error that dir is no data directory, which is ErrCorrupt too where there are value files: then it was one.
func damagedFormat(dir string, err error) error {
	if !errors.Is(err, ErrNotDirectory) {
		return err
	}
	files, _ := os.ReadDir(filepath.Join(dir, valuesName))
	if !slices.ContainsFunc(files, func(e fs.DirEntry) bool { return strings.HasSuffix(e.Name(), ".log") }) {
		return err
	}
	return fmt.Errorf("%w, and there are value files: %w", err, ErrCorrupt)
}

func checkFormat(text string) error {
	number, ok := strings.CutPrefix(text, formatPrefix)
	if ok {
		number, ok = strings.CutSuffix(number, "\n")
	}
	version, err := strconv.ParseUint(number, 10, 32)
	if !ok || err != nil || version == 0 || strconv.FormatUint(version, 10) != number {
		return fmt.Errorf("%w: its file %s is not understood", ErrNotDirectory, formatName)
	}
	if version == FormatVersion {
		return nil
	}
	is := ErrNewerFormat
	if version < FormatVersion {
		is = ErrOldFormat
	}
	return fmt.Errorf("%w; it has version %d, this library knows version %d", is, version, FormatVersion)
}

// checkEmpty refuses a directory that holds anything but what an interrupted creation
// leaves behind.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); name != formatTemp && name != "LOCK" { // LOCK: our own, where locks are files
			return fmt.Errorf("%w: it has no file %s but holds %q", ErrNotDirectory, formatName, name)
		}
	}
	return nil
}

func writeFormat(dir string) error {
	temp := filepath.Join(dir, formatTemp)
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%s%d\n", formatPrefix, FormatVersion)
	if err := Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, filepath.Join(dir, formatName)); err != nil {
		return err
	}
	return syncDir(dir)
}
