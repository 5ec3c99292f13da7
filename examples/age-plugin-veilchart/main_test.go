package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/plugin"
	"github.com/stretchr/testify/require"
)

// programs is the folder of the plugin, as a user installs it, and of the age command. It is first in the PATH, where age looks.
var programs string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "age-plugin-veilchart-")
		if err != nil {
			fmt.Println(err)
			return 1
		}
		defer os.RemoveAll(dir)
		programs = dir
		if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "age-plugin-veilchart"), ".").CombinedOutput(); err != nil {
			fmt.Printf("%v\n%s", err, out)
			return 1
		}
		os.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
		return m.Run()
	}())
}

// run runs a program in dir.
func run(t *testing.T, dir, name string, args ...string) (stdout, stderr string, err error) {
	var out, errs bytes.Buffer
	command := exec.Command(filepath.Join(programs, name), args...)
	command.Dir, command.Stdout, command.Stderr = dir, &out, &errs
	err = command.Run()
	return out.String(), errs.String(), err
}

// hospital is a folder with an authority, a recipient for doctors and senior nurses, and identities.
func hospital(t *testing.T, suite string) (dir string) {
	dir = t.TempDir()
	plugin := func(file string, args ...string) {
		out, errs, err := run(t, dir, "age-plugin-veilchart", args...)
		require.NoError(t, err, errs)
		require.Empty(t, errs)
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(out), 0o600))
	}
	issue := func(file string, args ...string) {
		out, errs, err := run(t, dir, "age-plugin-veilchart", append([]string{"issue", "-o", file}, args...)...)
		require.NoError(t, err, errs)
		require.Empty(t, out+errs)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "vocabulary.txt"), []byte("role: one of doctor, nurse, clerk\ngrade: number 0..9\n"), 0o600))
	plugin("authority.txt", "authority", "-suite", suite, "-vocabulary", "vocabulary.txt", "hospital")
	plugin("staff.txt", "recipient", "hospital.params", "(role = nurse and grade >= 3) or (role = doctor and dept = cardiology)")
	issue("doctor.txt", "hospital", "role = doctor", "dept = cardiology")
	issue("nurse.txt", "-to", "2100-01-01", "hospital", "role = nurse", "grade = 4")
	issue("former.txt", "-from", "2020-01-01", "-to", "2025-12-31", "hospital", "role = nurse", "grade = 4")
	issue("clerk.txt", "hospital", "role = clerk", "dept = cardiology")
	plugin("other.txt", "authority", "elsewhere")
	plugin("stranger.txt", "issue", "elsewhere", "role = nurse")
	return dir
}

// last is the last line of a file: the recipient or identity after the comments.
func last(t *testing.T, name string) string {
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}

// Through age's library, which runs the plugin.
func TestLibrary(t *testing.T) {
	for _, suite := range []string{"fabeo", "tkn20"} {
		t.Run(suite, func(t *testing.T) { testLibrary(t, hospital(t, suite)) })
	}
}

func testLibrary(t *testing.T, dir string) {
	var told []string
	ui := &plugin.ClientUI{DisplayMessage: func(_, message string) error {
		told = append(told, message)
		return nil
	}}
	identity := func(name string) *plugin.Identity {
		i, err := plugin.NewIdentity(last(t, filepath.Join(dir, name)), ui)
		require.NoError(t, err)
		require.Equal(t, "veilchart", i.Name())
		return i
	}
	staff, err := plugin.NewRecipient(last(t, filepath.Join(dir, "staff.txt")), ui)
	require.NoError(t, err)
	encrypt := func(recipients ...age.Recipient) ([]byte, error) {
		var file bytes.Buffer
		w, err := age.Encrypt(&file, recipients...)
		if err != nil {
			return nil, err
		}
		_, err = io.WriteString(w, "120/80")
		require.NoError(t, err)
		require.NoError(t, w.Close())
		return file.Bytes(), nil
	}
	decrypt := func(file []byte, identities ...age.Identity) (string, error) {
		r, err := age.Decrypt(bytes.NewReader(file), identities...)
		if err != nil {
			return "", err
		}
		b, err := io.ReadAll(r)
		return string(b), err
	}
	file, err := encrypt(staff)
	require.NoError(t, err)
	for _, name := range []string{"doctor.txt", "nurse.txt"} {
		got, err := decrypt(file, identity(name))
		require.NoError(t, err, name)
		require.Equal(t, "120/80", got)
	}
	require.Empty(t, told)
	_, err = decrypt(file, identity("clerk.txt"))
	require.ErrorIs(t, err, age.ErrIncorrectIdentity)
	require.Len(t, told, 1)
	require.Contains(t, told[0], "this key does not satisfy the policy")
	require.Contains(t, told[0], "role = clerk")
	_, err = decrypt(file, identity("stranger.txt"))
	require.ErrorIs(t, err, age.ErrIncorrectIdentity)
	require.Len(t, told, 2)
	require.Contains(t, told[1], "another authority")
	_, err = decrypt(file, identity("former.txt"))
	require.ErrorIs(t, err, age.ErrIncorrectIdentity)
	require.Len(t, told, 3)
	require.Contains(t, told[2], "2025-12-31")
	got, err := decrypt(file, identity("clerk.txt"), identity("stranger.txt"), identity("nurse.txt"))
	require.NoError(t, err)
	require.Equal(t, "120/80", got)

	native, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	for _, list := range [][]age.Recipient{{staff, native.Recipient()}, {native.Recipient(), staff}, {staff, staff}} {
		_, err = encrypt(list...)
		require.ErrorContains(t, err, "incompatible recipients")
	}
	_, err = encrypt(identity("doctor.txt").Recipient())
	require.ErrorContains(t, err, "identity encodings not supported", "a key is no policy")
	foreign, err := encrypt(native.Recipient())
	require.NoError(t, err)
	_, err = decrypt(foreign, identity("doctor.txt"))
	require.ErrorIs(t, err, age.ErrIncorrectIdentity)

	_, err = decrypt(tampered(t, file), identity("doctor.txt"))
	require.ErrorContains(t, err, "cannot be opened")
	require.NotErrorIs(t, err, age.ErrIncorrectIdentity)
}

// tampered changes the last byte of the stanza.
func tampered(t *testing.T, file []byte) []byte {
	header, payload, found := bytes.Cut(file, []byte("\n---"))
	require.True(t, found)
	parts := bytes.SplitN(header, []byte("-> veilchart\n"), 2)
	require.Len(t, parts, 2)
	body, err := base64.RawStdEncoding.DecodeString(strings.ReplaceAll(string(parts[1]), "\n", ""))
	require.NoError(t, err)
	body[len(body)-1] ^= 1
	text := base64.RawStdEncoding.EncodeToString(body)
	var out bytes.Buffer
	out.Write(parts[0])
	out.WriteString("-> veilchart\n")
	for len(text) >= 64 {
		out.WriteString(text[:64] + "\n")
		text = text[64:]
	}
	out.WriteString(text + "\n---")
	out.Write(payload)
	return out.Bytes()
}

// Through the age command, built from the version that go.mod names.
func TestCommand(t *testing.T) {
	built, err := exec.Command("go", "build", "-o", programs, "filippo.io/age/cmd/age").CombinedOutput()
	require.NoError(t, err, "%s", built)
	dir := hospital(t, "fabeo")
	file := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.WriteFile(file("chart.txt"), bytes.Repeat([]byte("120/80\n"), 50_000), 0o600))
	_, errs, err := run(t, dir, "age", "-R", "staff.txt", "-o", "chart.age", "chart.txt")
	require.NoError(t, err, errs)
	_, errs, err = run(t, dir, "age", "-a", "-r", last(t, file("staff.txt")), "-o", "chart.pem", "chart.txt")
	require.NoError(t, err, errs)
	for _, name := range []string{"chart.age", "chart.pem"} {
		for _, reader := range []string{"doctor.txt", "nurse.txt"} {
			out, errs, err := run(t, dir, "age", "-d", "-i", reader, name)
			require.NoError(t, err, errs)
			require.Equal(t, strings.Repeat("120/80\n", 50_000), out)
		}
		_, errs, err = run(t, dir, "age", "-d", "-i", "clerk.txt", name)
		require.Error(t, err)
		require.Contains(t, errs, "this key does not satisfy the policy")
		out, errs, err := run(t, dir, "age", "-d", "-i", "clerk.txt", "-i", "doctor.txt", name)
		require.NoError(t, err, errs)
		require.Len(t, out, 350_000)
	}
	_, errs, err = run(t, dir, "age", "-d", "-i", "stranger.txt", "chart.age")
	require.Error(t, err)
	require.Contains(t, errs, "another authority")

	native, err := age.GenerateX25519Identity()
	require.NoError(t, err)
	_, errs, err = run(t, dir, "age", "-R", "staff.txt", "-r", native.Recipient().String(), "-o", "weak.age", "chart.txt")
	require.Error(t, err)
	require.Contains(t, errs, "incompatible recipients")
	require.NoFileExists(t, file("weak.age"))

	sealed, err := os.ReadFile(file("chart.age"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file("tampered.age"), tampered(t, sealed), 0o600))
	out, errs, err := run(t, dir, "age", "-d", "-i", "doctor.txt", "tampered.age")
	require.Error(t, err)
	require.Empty(t, out)
	require.Contains(t, errs, "cannot be opened")

	damaged := last(t, file("staff.txt"))
	other := "q"
	if damaged[40] == 'q' {
		other = "p"
	}
	damaged = damaged[:40] + other + damaged[41:]
	_, errs, err = run(t, dir, "age", "-r", damaged, "-o", "x.age", "chart.txt")
	require.Error(t, err)
	require.NotEmpty(t, errs)
	require.NoFileExists(t, file("x.age"))
}

func TestCommandLine(t *testing.T) {
	dir := hospital(t, "fabeo")
	info, err := os.Stat(filepath.Join(dir, "hospital"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	before, err := os.ReadFile(filepath.Join(dir, "hospital"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "wrong.txt"), []byte("role: one or two"), 0o600))
	for want, args := range map[string][]string{
		"file exists":            {"authority", "hospital"},
		"doctor.txt: file exist": {"issue", "-o", "doctor.txt", "hospital", "a"},
		"no such file":           {"issue", "nowhere", "a"},
		"malformed encoding":     {"issue", "hospital.params", "a"},
		"abe authority secret":   {"recipient", "hospital", "a"},
		"cannot be mixed":        {"recipient", "hospital.params", "a and b or c"},
		"Encrypt age files":      {"recipient"},
		"make an authority":      {"unknown"},
		"flag provided but not":  {"--unknown"},
		"unknown state machine":  {"--age-plugin=nothing"},
		"make an identity that":  {},
		"make no sense":          {"recipient", "hospital.params", "a", "b"},
		"no sealing day":         {"issue", "-to", "tomorrow", "hospital", "a"},
		"ends before it begins":  {"issue", "-from", "2027-01-02", "-to", "2027-01-01", "hospital", "a"},
		"is no suite":            {"authority", "-suite", "rsa", "x"},
		"wrong.txt":              {"authority", "-vocabulary", "wrong.txt", "x"},
		"grade":                  {"issue", "hospital", "grade = 11"},
	} {
		out, errs, err := run(t, dir, "age-plugin-veilchart", args...)
		require.Error(t, err, "%q", args)
		require.Empty(t, out)
		require.Contains(t, errs, want, "%q", args)
	}
	after, err := os.ReadFile(filepath.Join(dir, "hospital"))
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.NoFileExists(t, filepath.Join(dir, "x"))
	out, errs, err := run(t, dir, "age-plugin-veilchart", "-h")
	require.NoError(t, err)
	require.Contains(t, out+errs, "make an authority")
}

// An identity is a secret: the file that issue makes is its owner's alone, and who redirects it into one that others may read is
// warned.
func TestIdentityIsForItsOwner(t *testing.T) {
	dir := hospital(t, "fabeo")
	info, err := os.Stat(filepath.Join(dir, "doctor.txt"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.Regexp(t, "^AGE-PLUGIN-VEILCHART-1", last(t, filepath.Join(dir, "doctor.txt")))

	for mode, warned := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o640: true, 0o604: true, 0o620: true} {
		name := filepath.Join(dir, fmt.Sprintf("%o.txt", mode))
		file, err := os.Create(name)
		require.NoError(t, err)
		require.NoError(t, file.Chmod(mode))
		var errs bytes.Buffer
		command := exec.Command(filepath.Join(programs, "age-plugin-veilchart"), "issue", "hospital", "role = doctor")
		command.Dir, command.Stdout, command.Stderr = dir, file, &errs
		require.NoError(t, command.Run(), errs.String())
		require.NoError(t, file.Close())
		require.Equal(t, warned, strings.Contains(errs.String(), "use -o"), "%o: %s", mode, errs.String())
		require.Regexp(t, "^AGE-PLUGIN-VEILCHART-1", last(t, name), "the warning is not in the file")
	}
}

// An authority is made as a whole or not at all: no secret is left behind without its params.
func TestAuthorityLooksAtBothNames(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "clinic.params")
	require.NoError(t, os.WriteFile(taken, []byte("something else"), 0o600))
	out, errs, err := run(t, dir, "age-plugin-veilchart", "authority", "clinic")
	require.Error(t, err)
	require.Empty(t, out)
	require.Contains(t, errs, "clinic.params: file exists")
	require.NoFileExists(t, filepath.Join(dir, "clinic"))
	b, err := os.ReadFile(taken)
	require.NoError(t, err)
	require.Equal(t, "something else", string(b))
}
