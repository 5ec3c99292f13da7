// Ward runs the main job of veilchart on the records of a hospital ward: 147 synthetic patients, 30,465 FHIR R4 resources.
//
//	go run ./examples/ward
//
// It seals every record under a policy, stores and logs it, makes it searchable, and turns measurements into encrypted columns. Then it plays
// a day: a cardiologist searches and reads, a billing clerk is refused, a researcher asks for statistics until the privacy budget ends, an
// auditor finds a flipped byte, and a patient is erased. It prints what each machine could see, and exits with 1 if a step came out wrong.
//
// Run it again with the same -dir: it opens everything again, repeats what may be repeated and checks the rest.
package main

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/veilchart/veilchart/keymgmt"
)

//go:embed testdata/ward.ndjson.gz
var wardRecords []byte

// passphraseVariable is read where no flag names a passphrase.
const passphraseVariable = "WARD_PASSPHRASE"

type options struct {
	dir        string
	records    string
	passphrase string // file
	ask        bool
	json       bool
	quiet      bool
}

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", "", "data `folder`, opened or made (default: a new temporary folder)")
	flag.StringVar(&o.records, "records", "", "NDJSON `file` of FHIR R4 resources, plain or gzip (default: the ward that comes with the program)")
	flag.StringVar(&o.passphrase, "passphrase-file", "", "`file` whose first line is the passphrase of the root key (default: $"+passphraseVariable+", otherwise a random key in a file)")
	flag.BoolVar(&o.ask, "ask", false, "ask for the passphrase")
	flag.BoolVar(&o.json, "json", false, "print a report for machines instead of the story")
	flag.BoolVar(&o.quiet, "q", false, "print less")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "ward: unexpected argument %q; see -help\n", flag.Arg(0))
		os.Exit(2)
	}
	s := newScreen(os.Stdout, os.Stderr, o.quiet || o.json, o.json)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := run(ctx, o, s)
	if err == nil && s.lost != nil {
		err = fmt.Errorf("writing the story: %w", s.lost)
	}
	switch {
	case errors.Is(err, context.Canceled):
		r.Error = fmt.Sprintf("stopped. What was stored is safe; run again with -dir %s to go on", r.Folder)
	case err != nil:
		r.Error = err.Error()
	case r.Wrong > 0:
		r.Error = fmt.Sprintf("%d steps came out wrong", r.Wrong)
	}
	if o.json {
		if err := r.json(os.Stdout); err != nil {
			r.Error += err.Error()
		}
	}
	if r.Error != "" {
		fmt.Fprintf(os.Stderr, "\nward: %s\n", r.Error)
		os.Exit(1)
	}
}

// run does the whole job in one folder. The report is there, as far as it goes, also when there is an error.
func run(ctx context.Context, o options, s *screen) (r *report, err error) {
	r = &report{Folder: o.dir, Malformed: []string{}, Steps: []step{}, Stored: []store{}, Times: []timed{}, Seen: []seen{}}
	input, source := wardRecords, "the records that come with the program"
	if o.records != "" {
		source = o.records
		if input, err = os.ReadFile(o.records); err != nil {
			return r, err
		}
	}
	w, err := readWard(input)
	if err != nil {
		return r, fmt.Errorf("%s: %w", source, err)
	}
	r.Records, r.Patients, r.Input = len(w.records), len(w.patients), w.bytes
	for _, bad := range w.malformed {
		r.Malformed = append(r.Malformed, bad.Error())
	}
	if o.dir == "" {
		r.Folder, err = os.MkdirTemp("", "ward-")
	} else {
		err = makeFolder(o.dir)
	}
	if err != nil {
		return r, fmt.Errorf("the data folder cannot be made: %w. Give -dir a folder that you may write to", err)
	}
	fmt.Fprintln(s.out, s.paint(bold, "veilchart: a hospital ward whose records stay closed while they are used"))
	s.say("")
	s.say("Data folder: %s", r.Folder)
	wrapper, err := unlock(o, r.Folder, s)
	if err != nil {
		return r, err
	}
	h, err := openHospital(ctx, r.Folder, wrapper)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return r, fmt.Errorf("%w. Run it as the user who made the folder, and make the folder writable", err)
	case err != nil:
		return r, err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	return r, tell(ctx, h, wrapper, w, s, r)
}

// unlock finds what protects the root key: a passphrase if one is given or was used before, otherwise a random key in a file.
func unlock(o options, dir string, s *screen) (keymgmt.Wrapper, error) {
	keyFile := filepath.Join(dir, "keys", "root.nobackup", "key")
	_, noFile := os.Lstat(keyFile)
	_, noRing := os.Lstat(keymgmt.FilesIn(filepath.Join(dir, "keys")).Ring)
	var phrase string
	switch {
	case o.passphrase != "":
		b, err := os.ReadFile(o.passphrase)
		if err != nil {
			return nil, err
		}
		phrase, _, _ = strings.Cut(string(b), "\n")
		phrase = strings.TrimSuffix(phrase, "\r")
	case o.ask, os.Getenv(passphraseVariable) == "" && noRing == nil && noFile != nil && term.IsTerminal(int(os.Stdin.Fd())):
		fmt.Fprint(os.Stderr, "Passphrase: ")
		b, err := readPassphrase()
		if err != nil {
			return nil, err
		}
		if phrase = string(b); noRing != nil && phrase != "" { // a new one: a slip of the finger would shut the folder for good
			fmt.Fprint(os.Stderr, "Again: ")
			again, err := readPassphrase()
			if err != nil {
				return nil, err
			}
			if phrase != string(again) {
				return nil, errors.New("the two passphrases differ; nothing was made")
			}
		}
	default:
		phrase = os.Getenv(passphraseVariable)
	}
	switch {
	case phrase != "":
		if noFile == nil {
			return nil, fmt.Errorf("this folder's root key is in %s, not under a passphrase. Run without a passphrase", keyFile)
		}
		s.say("Root key: under your passphrase (Argon2id)")
		return keymgmt.NewPassphrase(keymgmt.NewSecret([]byte(phrase)))
	case o.ask || o.passphrase != "":
		return nil, errors.New("the passphrase is empty")
	case noFile != nil && noRing == nil:
		return nil, fmt.Errorf("this folder's keys are under a passphrase, or %s is lost. Set %s, or give -passphrase-file or -ask", keyFile, passphraseVariable)
	}
	if noFile != nil && inUse(dir) {
		return nil, fmt.Errorf("%s holds other files and no keys: if it is a ward, restore its keys/ folder; if not, give -dir another folder", dir)
	}
	s.warn("no passphrase was given, so the root key lies unprotected in " + keyFile + " (mode 0600). Who can read that file can read every record. " +
		"For real data give -ask or -passphrase-file.")
	w, err := keymgmt.OpenKeyFile(keyFile)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(keyFile), 0o700); err != nil {
			return nil, err
		}
		w, err = keymgmt.CreateKeyFile(keyFile)
	}
	return w, err
}

// stdin is where passphrases are read from, line by line, when it is no terminal.
var stdin = bufio.NewReader(os.Stdin)

// readPassphrase reads a line, unseen if it is typed. An interrupt gives the terminal back as it was.
func readPassphrase() ([]byte, error) {
	if fd := int(os.Stdin.Fd()); term.IsTerminal(fd) {
		before, err := term.GetState(fd)
		if err != nil {
			return nil, err
		}
		interrupt := make(chan os.Signal, 1)
		signal.Notify(interrupt, os.Interrupt, syscall.SIGTERM)
		defer signal.Stop(interrupt)
		typed := make(chan error, 1)
		var line []byte
		go func() {
			var err error
			line, err = term.ReadPassword(fd)
			typed <- err
		}()
		select {
		case err := <-typed:
			fmt.Fprintln(os.Stderr)
			return line, err
		case <-interrupt:
			return nil, errors.Join(errors.New("no passphrase was given"), term.Restore(fd, before))
		}
	}
	line, err := stdin.ReadString('\n')
	if err != nil && line == "" {
		return nil, fmt.Errorf("no passphrase on the standard input: %w", err)
	}
	return []byte(strings.TrimRight(line, "\r\n")), nil
}
