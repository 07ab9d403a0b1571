package port

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// Line masks a text of others and puts it on one line: control characters are
// shown instead of passed on. It is for errors, tables and displays, in which a
// record of Azure DevOps must neither forge a line nor steer the terminal. A nil
// Masker does the latter only.
func (m *Masker) Line(s string) string { return visible(m.String(s), true) }

// visible writes control characters, invalid UTF-8 and characters that change the
// direction of text as \x1b or \u202e. Line ends and tabs stay unless line is set.
func visible(s string, line bool) string {
	harmless := func(r rune) bool {
		if r == '\n' || r == '\t' {
			return !line
		}
		return r != utf8.RuneError && !unicode.In(r, unicode.Cc, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
	}
	if strings.IndexFunc(s, func(r rune) bool { return !harmless(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case harmless(r), r == utf8.RuneError && n > 1:
			b.WriteString(s[i : i+n])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}

// A Writer masks what is written to it, line by line, and shows control
// characters other than line ends and tabs. A line that is not complete waits for
// its end, or for Close. It is safe for concurrent use.
type Writer struct {
	m    *Masker
	mu   sync.Mutex
	w    io.Writer
	line []byte // that has not ended
}

// Writer puts the masker before a stream.
func (m *Masker) Writer(w io.Writer) *Writer { return &Writer{m: m, w: w} }

// maxLine bounds a line that waits, in bytes.
const maxLine = 1 << 20

// Write writes the lines that are complete. It reports all of p as written unless
// the stream fails.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.line = append(w.line, p...)
	end := bytes.LastIndexByte(w.line, '\n') + 1
	if end == 0 && len(w.line) > maxLine {
		end = len(w.line) - w.m.longest() // a secret may have begun
	}
	if end <= 0 {
		return len(p), nil
	}
	err := w.flush(end)
	return len(p), err
}

// Close writes the line that has not ended. The stream stays open.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.flush(len(w.line))
}

func (w *Writer) flush(end int) error {
	if end == 0 {
		return nil
	}
	_, err := io.WriteString(w.w, visible(w.m.String(string(w.line[:end])), false))
	w.line = append(w.line[:0], w.line[end:]...)
	return err
}

func (m *Masker) longest() int {
	if m == nil {
		return 0
	}
	return m.state.Load().longest
}
