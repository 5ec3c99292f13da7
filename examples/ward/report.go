package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/veilchart/veilchart/sse"
)

// report is what a run leaves for people (a table) and for machines (-json).
type report struct {
	Folder    string   `json:"folder"`
	Run       string   `json:"run"` // new, resumed or reopened
	Records   int      `json:"records"`
	Patients  int      `json:"patients"`
	Input     int64    `json:"inputBytes"`
	Malformed []string `json:"malformed,omitempty"` // lines of the input that are no records

	Steps  []step  `json:"steps"`
	Stored []store `json:"stored"`
	Times  []timed `json:"times"`
	Seen   []seen  `json:"seen"`
	Wrong  int     `json:"wrong"`           // steps that came out wrong; the exit code is 1 if there are any
	Error  string  `json:"error,omitempty"` // what ended the run early
}

type step struct {
	Act    string `json:"act"`
	What   string `json:"what"`
	OK     bool   `json:"ok"`
	Before bool   `json:"before,omitempty"` // done by an earlier run, checked again
}

type store struct {
	What  string `json:"what"`
	Count int64  `json:"count"`
	Unit  string `json:"unit"`
	Bytes int64  `json:"bytes"`
}

type timed struct {
	What  string  `json:"what"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Aim   string  `json:"aim,omitempty"`
}

// seen is what a store could learn from what it holds and from what it was asked.
type seen struct {
	Store string `json:"store"`
	What  string `json:"what"`
}

// measureStores counts what lies in the folder.
func (r *report) measureStores(ctx context.Context, h *hospital) error {
	var blobs, bytes int64
	for cid, err := range h.blobs.All(ctx) {
		if err != nil {
			return err
		}
		n, err := h.blobs.Size(ctx, cid)
		if err != nil {
			return err
		}
		blobs, bytes = blobs+1, bytes+n
	}
	r.Stored = append(r.Stored, store{"sealed records", blobs, "blobs", bytes})
	r.Stored = append(r.Stored, store{"log", h.log.Checkpoint().Size, "leaves", folderSize(h.dir, "log")})
	var rows sse.Stats
	for _, name := range partitions {
		s, err := h.index[name].Stats(ctx)
		if err != nil {
			return err
		}
		rows.Rows, rows.Segments, rows.Pages, rows.Bytes = rows.Rows+s.Rows, rows.Segments+s.Segments, rows.Pages+s.Pages, rows.Bytes+s.Bytes
	}
	r.Stored = append(r.Stored, store{"search index", int64(rows.Rows), "rows", folderSize(h.dir, "index")})
	r.Stored = append(r.Stored, store{"encrypted columns", int64(len(h.state.Columns)), "columns", folderSize(h.dir, "columns")})
	keys, err := h.ring.Names(ctx, "")
	if err != nil {
		return err
	}
	r.Stored = append(r.Stored, store{"key ring", int64(len(keys)), "keys", folderSize(h.dir, "keys")})
	r.Stored = append(r.Stored, store{"privacy budget", int64(h.budget.Head().Seq), "entries", folderSize(h.dir, "budget")})

	r.Seen = []seen{
		{"blobs", fmt.Sprintf("%d sealed objects and their sizes; the policy in each header, so also how many records are psychiatric or about infections; "+
			"which objects share an encapsulation, that is one patient and one policy; a random-looking id of each record. No content, no names", blobs)},
		{"log", fmt.Sprintf("%d hashes of sealed objects, and when they came", h.log.Checkpoint().Size)},
		{"index", fmt.Sprintf("%d partitions of %d segments, %d sealed pages of 4 KiB; for each search which pages were read and how often. No word, no row, no count", len(partitions), rows.Segments, rows.Pages)},
		{"columns", fmt.Sprintf("%d columns with their names and ranges; for each question the positions of the group's patients. No value, no answer", len(h.state.Columns))},
		{"researcher", "questions asked and noisy answers. No record, no exact number"},
	}
	return nil
}

// folderSize adds up the files below a folder, or one file. A file that goes away meanwhile does not count.
func folderSize(dir, name string) (n int64) {
	_ = filepath.WalkDir(filepath.Join(dir, name), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

// peakMemory is the most memory that the process held, in bytes; 0 where the system does not tell.
func peakMemory() int64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if v, ok := strings.CutPrefix(sc.Text(), "VmHWM:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 10, 64)
			return kb << 10
		}
	}
	return 0
}

func (r *report) time(what string, d time.Duration, aim string) {
	r.Times = append(r.Times, timed{what, float64(d.Microseconds()) / 1e3, "ms", aim})
}

func (r *report) json(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// table prints the report for people.
func (r *report) table(s *screen) {
	title := func(t string) { fmt.Fprintf(s.out, "\n%s\n", s.paint(bold, t)) }
	title("What was stored")
	for _, x := range r.Stored {
		fmt.Fprintf(s.out, "   %-22s %8d %-8s %10s\n", x.What, x.Count, x.Unit, megabytes(x.Bytes))
	}
	title("How long it took")
	for _, x := range r.Times {
		fmt.Fprintf(s.out, "   %-52s %10s %-10s", x.What, strconv.FormatFloat(x.Value, 'f', digits(x.Value), 64), x.Unit)
		if x.Aim != "" {
			fmt.Fprintf(s.out, "  aim: %s", x.Aim)
		}
		fmt.Fprintln(s.out)
	}
	title("What each store could see")
	for _, x := range r.Seen {
		for i, line := range wrap(x.What, 96) {
			if i > 0 {
				x.Store = ""
			}
			fmt.Fprintf(s.out, "   %-12s %s\n", x.Store, line)
		}
	}
}

func digits(v float64) int {
	switch {
	case v >= 100:
		return 0
	case v >= 10:
		return 1
	}
	return 2
}
