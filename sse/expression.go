package sse

import (
	"encoding/binary"
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
	"unicode/utf8"
)

// expression is an automaton for words that a regular expression matches as a whole. Its states are sets of instructions of package
// regexp/syntax, made when they are first reached, so that an expression costs what the vocabulary makes of it and not what it might cost.
// It implements vellum.Automaton, byte by byte. It is for one goroutine.
type expression struct {
	prog   *syntax.Prog
	states []expressionState
	index  map[string]int32
	work   int  // steps so far
	tired  bool // there were too many: what was found is not all
	seen   []uint32
	round  uint32
	stack  []uint32
}

// expressionState is where the expression may be after some bytes.
type expressionState struct {
	at    []uint32 // instructions that wait for a character, for the end, or that match; ascending
	cut   []byte   // the beginning of a character
	match bool
	next  [256]int32 // 0 is not known yet
}

// The first states.
const (
	expressionDead  = 1
	expressionStart = 2
)

// Limits of an expression.
const (
	maxInstructions = 1 << 14
	maxStates       = 1 << 13    // of a kibibyte each
	maxSteps        = 32_000_000 // bytes looked at and instructions followed, about a quarter of a second
)

var errTired = fmt.Errorf("%w: the pattern takes more than %d steps in the vocabulary: begin it with more characters that are certain", ErrTooBroad, maxSteps)

// checkExpression refuses what is no regular expression for words of the field.
func (s Schema) checkExpression(field, text string) error {
	f, err := s.field(field)
	if err != nil {
		return err
	}
	if !f.Prefix {
		return f.refuse("it cannot be searched by regular expressions: add a field with Prefix")
	}
	if len(text) == 0 || len(text) > MaxKeyword {
		return f.refuse("a regular expression has 1 to %d bytes, not %d", MaxKeyword, len(text))
	}
	if _, err := parseExpression(text); err != nil {
		return f.refuse("%v", err)
	}
	return nil
}

// parseExpression compiles an expression in the syntax of package regexp.
func parseExpression(text string) (*syntax.Prog, error) {
	re, err := syntax.Parse(text, syntax.Perl)
	var bad *syntax.Error
	if errors.As(err, &bad) {
		return nil, fmt.Errorf("the regular expression is wrong: %v at %q: correct it", bad.Code, bad.Expr)
	} else if err != nil {
		return nil, fmt.Errorf("the regular expression is wrong: %w", err)
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return nil, fmt.Errorf("the regular expression is wrong: %w", err)
	}
	if len(prog.Inst) > maxInstructions {
		return nil, fmt.Errorf("the regular expression has more than %d steps: repeat less in it", maxInstructions)
	}
	for i := range prog.Inst {
		in := &prog.Inst[i]
		if op := syntax.EmptyOp(in.Arg); in.Op == syntax.InstEmptyWidth && op != syntax.EmptyBeginText && op != syntax.EmptyEndText {
			return nil, errors.New("boundaries of words and lines mean nothing inside one word: leave \\b, \\B and (?m) out")
		}
	}
	return prog, nil
}

func newExpression(text string) (*expression, error) {
	prog, err := parseExpression(text)
	if err != nil {
		return nil, err
	}
	e := &expression{prog: prog, states: make([]expressionState, expressionStart), index: make(map[string]int32), seen: make([]uint32, len(prog.Inst))}
	e.round++
	e.state(e.follow(nil, uint32(prog.Start), syntax.EmptyBeginText), nil)
	return e, nil
}

// follow adds to a set the instructions that are reached without a character; what holds at this place is in allowed.
func (e *expression) follow(set []uint32, from uint32, allowed syntax.EmptyOp) []uint32 {
	e.stack = append(e.stack[:0], from)
	for len(e.stack) > 0 {
		at := e.stack[len(e.stack)-1]
		e.stack = e.stack[:len(e.stack)-1]
		if e.seen[at] == e.round {
			continue
		}
		e.seen[at] = e.round
		e.work++
		switch in := &e.prog.Inst[at]; in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			e.stack = append(e.stack, in.Out, in.Arg)
		case syntax.InstCapture, syntax.InstNop:
			e.stack = append(e.stack, in.Out)
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(in.Arg)&^allowed == 0 {
				e.stack = append(e.stack, in.Out)
			} else if syntax.EmptyOp(in.Arg) == syntax.EmptyEndText {
				set = append(set, at)
			}
		case syntax.InstFail:
		default:
			set = append(set, at)
		}
	}
	return set
}

// state is the number of the state with these instructions.
func (e *expression) state(at []uint32, cut []byte) int32 {
	if len(at) == 0 {
		return expressionDead
	}
	slices.Sort(at)
	name := append([]byte{byte(len(cut))}, cut...)
	for _, pc := range at {
		name = binary.BigEndian.AppendUint32(name, pc)
	}
	if n, ok := e.index[string(name)]; ok {
		return n
	}
	if len(e.states) >= maxStates {
		e.tired = true
		return expressionDead
	}
	s := expressionState{at: at, cut: cut}
	if len(cut) == 0 {
		e.round++
		for _, pc := range at {
			// At the end of the word the waiting instructions go on.
			s.match = s.match || e.prog.Inst[pc].Op == syntax.InstMatch
			if e.prog.Inst[pc].Op == syntax.InstEmptyWidth {
				for _, to := range e.follow(nil, pc, syntax.EmptyEndText) {
					s.match = s.match || e.prog.Inst[to].Op == syntax.InstMatch
				}
			}
		}
	}
	n := int32(len(e.states))
	e.states = append(e.states, s)
	e.index[string(name)] = n
	return n
}

// step computes the state behind one byte more.
func (e *expression) step(s int, b byte) int32 {
	from := &e.states[s]
	cut := append(slices.Clone(from.cut), b)
	if !utf8.FullRune(cut) {
		return e.state(from.at, cut)
	}
	r, size := utf8.DecodeRune(cut)
	if r == utf8.RuneError && size == 1 {
		return expressionDead
	}
	var set []uint32
	e.round++
	e.work += len(from.at)
	for _, pc := range from.at {
		switch in := &e.prog.Inst[pc]; in.Op {
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			if in.MatchRune(r) {
				set = e.follow(set, in.Out, 0)
			}
		}
	}
	return e.state(set, nil)
}

// Start implements vellum.Automaton.
func (e *expression) Start() int {
	if len(e.states) > expressionStart {
		return expressionStart
	}
	return expressionDead
}

// IsMatch implements vellum.Automaton.
func (e *expression) IsMatch(s int) bool { return e.states[s].match }

// CanMatch implements vellum.Automaton.
func (e *expression) CanMatch(s int) bool { return s != expressionDead && !e.tired }

// WillAlwaysMatch implements vellum.Automaton.
func (e *expression) WillAlwaysMatch(int) bool { return false }

// Accept implements vellum.Automaton.
func (e *expression) Accept(s int, b byte) int {
	if e.work++; e.work > maxSteps {
		e.tired = true
	}
	if s == expressionDead || e.tired {
		return expressionDead
	}
	next := e.states[s].next[b]
	if next == 0 {
		next = e.step(s, b)
		if !e.tired {
			e.states[s].next[b] = next
		}
	}
	return int(next)
}
