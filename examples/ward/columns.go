package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/veilchart/veilchart/he"
	"github.com/veilchart/veilchart/keymgmt"
)

// A measure is a kind of number that becomes a column, one value for each patient: the latest. Its range is that of the body, taken from the
// medical tables and not from the data; values outside are moved to its ends, and so is what one patient can add to an answer.
type measure struct {
	code   string // LOINC
	name   string
	unit   string
	lo, hi float64
	scale  uint32
	edges  []float64 // of the histogram, if one can be asked for
}

const (
	age      = "30525-0"
	bmi      = "39156-5"
	systolic = "8480-6"
)

// ageDay is the day at which ages are reckoned: a fixed one, so that the same question gives the same answer next year.
var ageDay = time.Date(2020, time.December, 31, 0, 0, 0, 0, time.UTC)

var measures = []measure{
	{age, "age", "years", 0, 120, 1, nil}, // from the Patient, so that everybody has one
	{bmi, "body mass index", "kg/m2", 10, 50, 10, []float64{10, 18.5, 25, 30, 35, 50}},
	{systolic, "systolic blood pressure", "mmHg", 80, 200, 1, []float64{80, 120, 130, 140, 160, 200}},
	{"8462-4", "diastolic blood pressure", "mmHg", 40, 130, 1, nil},
	{"8302-2", "body height", "cm", 40, 220, 1, nil},
	{"29463-7", "body weight", "kg", 2, 200, 10, nil},
	{"72514-3", "pain score", "0-10", 0, 10, 1, nil},
	{"8310-5", "body temperature", "Cel", 34, 43, 10, nil},
	{"8331-1", "oral temperature", "Cel", 34, 43, 10, nil},
	{"2339-0", "glucose", "mg/dL", 40, 400, 1, nil},
	{"6299-2", "urea nitrogen", "mg/dL", 2, 100, 1, nil},
	{"38483-4", "creatinine", "mg/dL", 0, 15, 100, nil},
	{"49765-1", "calcium", "mg/dL", 5, 15, 10, nil},
	{"2947-0", "sodium", "mmol/L", 110, 170, 1, nil},
	{"6298-4", "potassium", "mmol/L", 2, 8, 10, nil},
	{"2069-3", "chloride", "mmol/L", 80, 130, 1, nil},
	{"20565-8", "carbon dioxide", "mmol/L", 10, 45, 1, nil},
	{"2093-3", "total cholesterol", "mg/dL", 80, 400, 1, nil},
	{"2571-8", "triglycerides", "mg/dL", 30, 600, 1, nil},
	{"18262-6", "LDL cholesterol", "mg/dL", 10, 300, 1, nil},
	{"2085-9", "HDL cholesterol", "mg/dL", 10, 120, 1, nil},
	{"4548-4", "haemoglobin A1c", "%", 3, 16, 10, nil},
	{"33914-3", "glomerular filtration rate", "mL/min", 0, 200, 1, nil},
	{"6690-2", "leukocytes", "10*3/uL", 0, 50, 10, nil},
	{"789-8", "erythrocytes", "10*6/uL", 1, 8, 100, nil},
	{"718-7", "haemoglobin", "g/dL", 3, 22, 10, nil},
	{"4544-3", "haematocrit", "%", 10, 70, 10, nil},
	{"787-2", "MCV", "fL", 50, 130, 1, nil},
	{"785-6", "MCH", "pg", 15, 45, 10, nil},
	{"786-4", "MCHC", "g/dL", 25, 40, 10, nil},
	{"21000-5", "erythrocyte distribution width", "fL", 20, 80, 1, nil},
	{"777-3", "platelets", "10*3/uL", 10, 1000, 1, nil},
	{"32207-3", "platelet distribution width", "fL", 50, 700, 1, nil},
	{"32623-1", "platelet mean volume", "fL", 5, 20, 10, nil},
	{"2885-2", "protein", "g/L", 20, 120, 1, nil},
	{"1751-7", "albumin", "g/dL", 1, 7, 10, nil},
	{"10834-0", "globulin", "g/L", 0, 80, 10, nil},
	{"1975-2", "bilirubin", "mg/dL", 0, 30, 10, nil},
	{"6768-6", "alkaline phosphatase", "U/L", 0, 500, 1, nil},
	{"1742-6", "ALT", "U/L", 0, 500, 1, nil},
	{"1920-8", "AST", "U/L", 0, 500, 1, nil},
}

func measureOf(code string) (measure, bool) {
	i := slices.IndexFunc(measures, func(m measure) bool { return m.code == code })
	if i < 0 {
		return measure{}, false
	}
	return measures[i], true
}

func (m measure) schema() he.ColumnSchema {
	return he.ColumnSchema{Name: m.code, Min: m.lo, Max: m.hi, Scale: m.scale, Edges: m.edges}
}

// latest picks each patient's latest value of every measure; of two on one day the one that stands later in the input.
func (w *ward) latest() map[string][]he.Value {
	type at struct {
		patient uint32
		code    string
	}
	last := map[at]number{}
	for _, r := range w.records {
		if r.kind == "Patient" && !r.date.IsZero() {
			years := ageDay.Sub(r.date).Hours() / 24 / 365.2425
			last[at{w.position[r.patient], age}] = number{age, math.Floor(years), r.date}
		}
		for _, n := range r.numbers {
			k := at{w.position[r.patient], n.code}
			if have, ok := last[k]; !ok || !n.when.Before(have.when) {
				last[k] = n
			}
		}
	}
	columns := map[string][]he.Value{}
	for _, m := range measures {
		for p := range uint32(len(w.patients)) {
			if n, ok := last[at{p, m.code}]; ok {
				columns[m.code] = append(columns[m.code], he.Value{Row: p, X: n.value})
			}
		}
	}
	return columns
}

// writeColumns encrypts the columns under a new key. It is done after the last batch, and again from the start if it was cut short.
func (h *hospital) writeColumns(ctx context.Context, w *ward) error {
	ctx = keymgmt.WithUse(ctx, keymgmt.Use{Actor: "ingest", Reason: "encrypt columns"})
	key, err := h.newColumnsKey(ctx)
	if err != nil {
		return err
	}
	values := w.latest()
	columns := map[string]*he.Column{}
	for _, m := range measures {
		if columns[m.code], err = key.EncryptColumn(m.schema(), values[m.code]); err != nil {
			return fmt.Errorf("column %s (%s): %w", m.code, m.name, err)
		}
	}
	h.state.Ingested = true
	return h.saveColumns(ctx, key.ID(), columns)
}

// newColumnsKey puts a fresh key into the ring beside the one in use.
func (h *hospital) newColumnsKey(ctx context.Context) (*he.Key, error) {
	key, err := he.GenerateKey(he.ProfileSum)
	if err != nil {
		return nil, err
	}
	secret := keymgmt.NewSecret(key.ExposeSecret())
	if _, err = h.ring.Put(ctx, keyColumns, secret); errors.Is(err, keymgmt.ErrExists) {
		_, err = h.ring.Rotate(ctx, keyColumns, secret)
	}
	return key, err
}

// saveColumns writes the columns into the folder of their key and then makes the state point to it. Folders of other keys go.
func (h *hospital) saveColumns(ctx context.Context, id he.KeyID, columns map[string]*he.Column) error {
	dir := h.columnsDir(id)
	digests := map[string][32]byte{}
	for code, c := range columns {
		if err := writeFile(filepath.Join(dir, code), c.Bytes(), 0o600); err != nil {
			return err
		}
		digests[code] = c.Digest()
	}
	h.state.ColumnsKey, h.state.Columns = id, digests
	if err := h.remember(ctx); err != nil {
		return err
	}
	return h.sweepColumns()
}

// sweepColumns deletes columns under keys that are no longer used.
func (h *hospital) sweepColumns() error {
	all, err := os.ReadDir(filepath.Dir(h.columnsDir(h.state.ColumnsKey)))
	if err != nil {
		return err
	}
	for _, d := range all {
		if d.IsDir() && d.Name() != h.state.ColumnsKey.String() {
			err = errors.Join(err, os.RemoveAll(filepath.Join(h.dir, "columns", d.Name())))
		}
	}
	return err
}

// column loads a column and checks that it is the one that was written last.
func (h *hospital) column(key *he.Key, code string) (*he.Column, error) {
	path := filepath.Join(h.columnsDir(key.ID()), code)
	encoding, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: a column is missing; restore it from a copy of the folder", err)
	}
	if err != nil {
		return nil, err
	}
	c, err := he.NewColumn(encoding)
	if err == nil {
		err = key.Verify(c)
	}
	if err == nil && c.Digest() != h.state.Columns[code] {
		err = errors.New("an older or another column was put in its place")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w; restore it from a copy of the folder", path, err)
	}
	return c, nil
}

// verifyColumns loads every column.
func (h *hospital) verifyColumns(ctx context.Context) (bytes int64, err error) {
	key, err := h.columnsKey(ctx)
	if err != nil {
		return 0, err
	}
	for code := range h.state.Columns {
		if c, bad := h.column(key, code); bad != nil {
			err = errors.Join(err, bad)
		} else {
			bytes += int64(len(c.Bytes()))
		}
	}
	return bytes, err
}

// dropFromColumns encrypts all columns afresh without one patient, under a new key, and destroys the old key.
func (h *hospital) dropFromColumns(ctx context.Context, position uint32) error {
	old, err := h.columnsKey(ctx)
	if err != nil {
		return err
	}
	key, err := h.newColumnsKey(ctx)
	if err != nil {
		return err
	}
	columns := map[string]*he.Column{}
	for code := range h.state.Columns {
		c, err := h.column(old, code)
		if err != nil {
			return err
		}
		if columns[code], err = old.Reencrypt(c, key, []uint32{position}); err != nil {
			return fmt.Errorf("column %s: %w", code, err)
		}
	}
	return h.saveColumns(ctx, key.ID(), columns)
}

// destroyOldVersions destroys every version of a key but the primary.
func (h *hospital) destroyOldVersions(ctx context.Context, name string) error {
	list, err := h.ring.List(ctx, name)
	if err != nil {
		return err
	}
	for _, info := range list {
		if info.Name != name || info.State == keymgmt.StatePrimary || info.State == keymgmt.StateDestroyed {
			continue
		}
		d := keymgmt.Destruction{Version: info.Version, AtOnce: []string{"what is still under version " + fmt.Sprint(info.Version) + " of " + strings.TrimPrefix(name, "ward/")}}
		if _, err := h.ring.Destroy(ctx, name, d); err != nil {
			return err
		}
	}
	return nil
}
