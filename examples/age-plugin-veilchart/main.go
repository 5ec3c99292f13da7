// Age-plugin-veilchart lets the age command encrypt files to a policy, and those read them whose attributes satisfy it.
//
//	go install ./examples/age-plugin-veilchart
//	age-plugin-veilchart authority hospital
//	age-plugin-veilchart recipient hospital.params 'role = doctor or role = nurse' > staff.txt
//	age-plugin-veilchart issue -o doctor.txt hospital 'role = doctor'
//	age -R staff.txt -o chart.age chart.txt
//	age -d -i doctor.txt chart.age
//
// age runs the program by itself when it meets a recipient age1veilchart1... or an identity AGE-PLUGIN-VEILCHART-1...; the program has to be
// in the PATH.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/plugin"

	"github.com/veilchart/veilchart/abe"
	"github.com/veilchart/veilchart/abe/agerecipient"
)

const usage = `Encrypt age files to a policy.

  age-plugin-veilchart authority [-vocabulary TEXTFILE] [-suite fabeo|tkn20] FILE
        make an authority: its secret in FILE, its public params in FILE.params
  age-plugin-veilchart recipient FILE.params POLICY
        print the recipient for a policy, such as 'role = doctor and (dept = cardiology or on-call)'
  age-plugin-veilchart issue [-from DAY] [-to DAY] [-o IDENTITYFILE] FILE ATTRIBUTE...
        make an identity that holds the attributes, such as 'role = doctor' on-call, in a new file that you alone may read;
        without -o, print it. It reads what is encrypted from one day to the other, such as 2027-01-31: from the first day
        of all to a year from now, if you do not say.

age itself runs the program with --age-plugin.
`

func main() {
	fs := flag.NewFlagSet("age-plugin-veilchart", flag.ContinueOnError)
	fs.Usage = func() { fmt.Fprint(fs.Output(), usage) }
	p, err := plugin.New(agerecipient.Name)
	if err != nil {
		panic(err) // the name is a constant
	}
	p.RegisterFlags(fs)
	switch err := fs.Parse(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		os.Exit(2)
	}
	if fs.NArg() == 0 && fs.Lookup("age-plugin").Value.String() != "" {
		os.Exit(serve(p))
	}
	switch err := command(fs.Args(), os.Stdout); {
	case errors.Is(err, errUsage):
		fmt.Fprintf(os.Stderr, "age-plugin-veilchart: %v\n\n%s", err, usage)
		os.Exit(2)
	case err != nil:
		fmt.Fprintf(os.Stderr, "age-plugin-veilchart: %s\n", strings.TrimPrefix(err.Error(), "abe: "))
		os.Exit(1)
	}
}

// serve speaks with age.
func serve(p *plugin.Plugin) int {
	p.HandleRecipientEncoding(func(text string) (age.Recipient, error) { return agerecipient.ParseRecipient(text, nil) })
	p.HandleIdentityEncoding(func(text string) (age.Identity, error) {
		i, err := agerecipient.ParseIdentity(text, nil)
		return telling{i, p}, err
	})
	return p.Main()
}

// telling is an identity that says why it does not open a file: the protocol has no place for the reason and age would only say
// that no identity matched.
type telling struct {
	*agerecipient.Identity
	p *plugin.Plugin
}

func (t telling) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	fileKey, err := t.Identity.Unwrap(stanzas)
	if denied := (*abe.DeniedError)(nil); errors.As(err, &denied) {
		// A client that shows no messages is none of our business: it goes on without.
		_ = t.p.DisplayMessage(strings.TrimPrefix(denied.Error(), "abe: "))
	}
	return fileKey, err
}

var errUsage = errors.New("these arguments make no sense")

// command does what a person asked for.
func command(args []string, out *os.File) error {
	if len(args) == 0 {
		return errUsage
	}
	fs := flag.NewFlagSet(args[0], flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	vocabulary, suite, identity := "", "fabeo", ""
	window := abe.Window{First: 0, Last: abe.DayOf(time.Now().AddDate(1, 0, 0))}
	run := map[string]func(args []string) error{
		"authority": func(args []string) error { return makeAuthority(suite, vocabulary, args[0], out) },
		"recipient": func(args []string) error { return printRecipient(args[0], args[1], out) },
		"issue":     func(args []string) error { return issue(window, args[0], args[1:], identity, out) },
	}[args[0]]
	least, most := 2, 2
	switch args[0] {
	case "authority":
		fs.StringVar(&vocabulary, "vocabulary", "", "")
		fs.StringVar(&suite, "suite", suite, "")
		least, most = 1, 1
	case "issue":
		fs.TextVar(&window.First, "from", window.First, "")
		fs.TextVar(&window.Last, "to", window.Last, "")
		fs.StringVar(&identity, "o", "", "")
		most = 1 << 10
	}
	if run == nil {
		return errUsage
	}
	if err := fs.Parse(args[1:]); err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if fs.NArg() < least || fs.NArg() > most {
		return errUsage
	}
	return run(fs.Args())
}

func makeAuthority(suiteName, vocabularyFile, name string, out io.Writer) error {
	suite, ok := map[string]abe.Suite{"fabeo": abe.FABEO, "tkn20": abe.TKN20}[suiteName]
	if !ok {
		return fmt.Errorf("%q is no suite: it is fabeo or tkn20", suiteName)
	}
	public := name + ".params"
	for _, file := range []string{name, public} { // before one is written: no secret is left behind because of the other
		if _, err := os.Lstat(file); err == nil {
			return fmt.Errorf("%s: file exists: give another name, or move the authority that it belongs to", file)
		}
	}
	var vocabulary *abe.Vocabulary
	if vocabularyFile != "" {
		text, err := os.ReadFile(vocabularyFile)
		if err != nil {
			return err
		}
		if vocabulary, err = abe.ParseVocabulary(string(text)); err != nil {
			return fmt.Errorf("%s: %w", vocabularyFile, err)
		}
	}
	a, err := abe.GenerateAuthority(suite, vocabulary)
	if err != nil {
		return err
	}
	if err := writeNew(name, a.ExposeSecret(), 0o600); err != nil {
		return err
	}
	if err := writeNew(public, a.Params().Bytes(), 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "authority %x\n%s: the secret; whoever has it reads everything. Keep it off line, encrypted, with a copy.\n%s: for everybody who encrypts.\n",
		a.Params().Fingerprint(), name, public)
	return err
}

// writeNew refuses to write over a file: it may be the only copy of another authority's secret.
func writeNew(name string, b []byte, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if _, err := f.Write(b); err != nil {
		f.Close()
		return err
	}
	if err := f.Sync(); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func printRecipient(name, policyText string, out io.Writer) error {
	encoding, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	params, err := abe.NewParams(encoding)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	policy, err := abe.ParsePolicy(policyText)
	if err != nil {
		return err
	}
	r, err := agerecipient.NewRecipient(params, policy, nil)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "# authority: %x\n# policy: %s\n%s\n", params.Fingerprint(), policy, r)
	return err
}

// issue writes an identity to a new file, or to out.
func issue(window abe.Window, name string, texts []string, file string, out *os.File) error {
	secret, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	authority, err := abe.NewAuthority(secret)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var attributes []abe.Attribute
	for _, text := range texts {
		attribute, err := abe.ParseAttribute(text)
		if err != nil {
			return err
		}
		attributes = append(attributes, attribute)
	}
	key, err := authority.IssueKey(window, attributes...)
	if err != nil {
		return err
	}
	identity, err := agerecipient.NewIdentity(key, nil)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# authority: %x\n# reads what is encrypted on %s\n", key.Params().Fingerprint(), window)
	for _, attribute := range key.Attributes() {
		fmt.Fprintf(&b, "# attribute: %s\n", attribute)
	}
	fmt.Fprintln(&b, identity.ExposeSecret())
	if file != "" {
		return writeNew(file, b.Bytes(), 0o600)
	}
	if info, err := out.Stat(); err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		fmt.Fprintln(os.Stderr, "age-plugin-veilchart: warning: the identity is secret, and others may read the file that it goes to: use -o, which makes one that they may not")
	}
	_, err = out.Write(b.Bytes())
	return err
}
