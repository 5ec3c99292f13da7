package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// now is the clock. Tests do not change it; it has a name so that every use of it is found.
func now() time.Time { return time.Now() }

// screen writes the story for a person. Colours and the moving progress bar are for terminals only.
type screen struct {
	to     io.Writer // where the story goes
	out    io.Writer // the screen itself, which keeps an error of to
	err    io.Writer
	colour bool
	live   bool // progress may be redrawn
	quiet  bool
	lost   error // the first error of writing the story
}

// Write passes on what is told and keeps the first error.
func (s *screen) Write(b []byte) (int, error) {
	n, err := s.to.Write(b)
	if err != nil && s.lost == nil {
		s.lost = err
	}
	return n, err
}

func newScreen(out, errOut *os.File, quiet, silent bool) *screen {
	s := tellTo(out, errOut)
	s.quiet = quiet
	s.colour = term.IsTerminal(int(out.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	s.live = term.IsTerminal(int(errOut.Fd()))
	if silent { // -json: the story is not told
		s.to = io.Discard
	}
	return s
}

// tellTo makes a screen without colours.
func tellTo(out, errOut io.Writer) *screen {
	s := &screen{to: out, err: errOut}
	s.out = s
	return s
}

const (
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	reset  = "\x1b[0m"
)

func (s *screen) paint(code, text string) string {
	if !s.colour {
		return text
	}
	return code + text + reset
}

// act begins a part of the story.
func (s *screen) act(n int, title string) {
	fmt.Fprintf(s.out, "\n%s\n", s.paint(bold, fmt.Sprintf("%d. %s", n, title)))
}

// say tells something that -q leaves out.
func (s *screen) say(format string, args ...any) {
	if !s.quiet {
		fmt.Fprintf(s.out, "   "+format+"\n", args...)
	}
}

// aside explains. -q leaves it out.
func (s *screen) aside(text string) {
	if !s.quiet {
		for _, line := range wrap(text, 110) {
			fmt.Fprintf(s.out, "   %s\n", s.paint(dim, line))
		}
	}
}

// outcome reports a step that was checked.
func (s *screen) outcome(ok bool, text string) {
	mark := s.paint(green, "ok")
	if !ok {
		mark = s.paint(red, "WRONG")
	}
	for i, line := range wrap(text, 110) {
		if i == 0 {
			fmt.Fprintf(s.out, "   %s  %s\n", mark, line)
		} else {
			fmt.Fprintf(s.out, "       %s\n", line)
		}
	}
}

// warn is for what must not be overlooked, also with -q and -json.
func (s *screen) warn(text string) {
	for i, line := range wrap(text, 110) {
		if i == 0 {
			line = "Warning: " + line
		}
		if s.live && s.colour {
			line = yellow + line + reset
		}
		fmt.Fprintln(s.err, line)
	}
}

// wrap breaks text into lines of at most width letters.
func wrap(text string, width int) (out []string) {
	for _, paragraph := range strings.Split(text, "\n") {
		line := ""
		for _, word := range strings.Fields(paragraph) {
			if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
				out, line = append(out, line), ""
			}
			if line != "" {
				line += " "
			}
			line += word
		}
		out = append(out, line)
	}
	return out
}

// progress counts records on their way. On a terminal it is a bar that moves; elsewhere a line every few seconds.
type progress struct {
	s            *screen
	mu           sync.Mutex
	start, drawn time.Time
	total, done  int
	fresh        int // done by this run
	bytes        int64
}

func (s *screen) progress(total int) *progress {
	return &progress{s: s, total: total, start: now(), drawn: now()}
}

// add counts records that were stored, skip such as were there already.
func (p *progress) add(n int, bytes int64)  { p.count(n, n, bytes) }
func (p *progress) skip(n int, bytes int64) { p.count(n, 0, 0) }

func (p *progress) count(n, fresh int, bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done, p.fresh, p.bytes = p.done+n, p.fresh+fresh, p.bytes+bytes
	every := 5 * time.Second
	if p.s.live {
		every = 100 * time.Millisecond
	}
	if !p.s.quiet && now().Sub(p.drawn) >= every {
		p.drawn = now()
		p.draw()
	}
}

func (p *progress) draw() {
	seconds := max(now().Sub(p.start).Seconds(), 1e-3)
	text := fmt.Sprintf("%6d of %d records  %5.0f records/s  %s", p.done, p.total, float64(p.fresh)/seconds, megabytes(p.bytes))
	if !p.s.live {
		fmt.Fprintf(p.s.err, "   ingest: %s\n", text)
		return
	}
	const width = 30
	full := width * p.done / max(p.total, 1)
	fmt.Fprintf(p.s.err, "\r   [%s%s] %s ", strings.Repeat("=", full), strings.Repeat(" ", width-full), text)
}

// finish removes the bar.
func (p *progress) finish() {
	if p.s.live && !p.s.quiet {
		fmt.Fprintf(p.s.err, "\r%s\r", strings.Repeat(" ", 110))
	}
}

func megabytes(n int64) string {
	switch {
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d bytes", n)
}

// ms shows a duration with two or three digits that mean something.
func ms(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < time.Millisecond:
		return fmt.Sprintf("%d us", d.Microseconds())
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1e3)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
