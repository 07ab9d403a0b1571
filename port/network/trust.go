package network

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// trust says where certificates of authorities are looked for.
type trust struct {
	// environ holds SSL_CERT_FILE, SSL_CERT_DIR, REQUESTS_CA_BUNDLE and
	// CURL_CA_BUNDLE: files or directories, colon-separated.
	environ map[string]string
	// root is put before every path; empty means "/". Tests have their own.
	root string
	// log gets a warning for each file that cannot be used.
	log *slog.Logger
}

// systemBundles are the files with which Linux distributions and images bring
// their authorities, as crypto/x509 lists them.
func systemBundles() []string {
	return []string{
		"/etc/ssl/certs/ca-certificates.crt",
		"/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem",
		"/etc/pki/tls/cacert.pem",
		"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
		"/etc/ssl/cert.pem",
	}
}

// trustedDirs are read recursively: nothing runs update-ca-certificates after a
// chart has mounted a certificate there.
func trustedDirs() []string {
	return []string{"/usr/local/share/ca-certificates", "/usr/share/ca-certificates", "/etc/ssl/certs"}
}

// certificates builds the trust store: the authorities of the system, or Mozilla's
// built-in ones where there are none, and in addition every certificate of the
// usual directories and of the files that the environment names. Nothing is
// replaced, so SSL_CERT_FILE with a private authority does not cut off Port.
// What cannot be read is skipped with a warning.
func (t trust) certificates() *x509.CertPool {
	l := loader{trust: t, pool: t.base(), seen: map[[32]byte]bool{}, files: map[string]bool{}}
	for _, p := range systemBundles() {
		l.add(p, quiet)
	}
	// A volume over /etc/ssl/certs hides the bundle, and a private authority
	// alone is no system store.
	if len(l.seen) < leastSystem && !t.platform() {
		l.builtIn()
	}
	for _, p := range trustedDirs() {
		l.dir(p, quiet, 0)
		l.walked = append(l.walked, l.path(p)+string(filepath.Separator))
	}
	for _, name := range []string{"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"} {
		for p := range strings.SplitSeq(t.environ[name], ":") {
			if p = strings.TrimSpace(p); p != "" {
				l.any(p, name)
			}
		}
	}
	return l.pool
}

// platform reports whether the operating system verifies certificates itself,
// with authorities that lie in no file.
func (t trust) platform() bool {
	return t.root == "" && (runtime.GOOS == "windows" || runtime.GOOS == "darwin")
}

func (t trust) base() *x509.CertPool {
	if t.platform() {
		if pool, err := x509.SystemCertPool(); err == nil {
			return pool
		}
	}
	return x509.NewCertPool()
}

// leastSystem is how many authorities make a system store. Mozilla's list has
// had more than a hundred for twenty years.
const leastSystem = 20

// quiet is the variable of a path that is looked at by default and may be absent.
const quiet = ""

// A loader fills a pool. Certificates are known by their hash: the same ones
// come in the bundle, as single files, and once more behind links.
type loader struct {
	trust
	pool  *x509.CertPool
	seen  map[[32]byte]bool
	files map[string]bool
	// walked are the directories that were read completely.
	walked []string
}

func (l *loader) path(p string) string {
	if l.root == "" {
		return filepath.FromSlash(p)
	}
	return filepath.Join(l.root, filepath.FromSlash(p))
}

// any adds a file, or a directory with everything in it.
func (l *loader) any(p, variable string) {
	info, err := os.Stat(l.path(p))
	switch {
	case err != nil:
		l.skip(p, variable, err)
	case info.IsDir():
		l.dir(p, variable, 0)
	default:
		l.add(p, variable)
	}
}

// maxCertDepth bounds links that lead back up.
const maxCertDepth = 8

// dir adds the *.crt, *.pem and *.cer below a directory, links followed.
func (l *loader) dir(p, variable string, depth int) {
	entries, err := os.ReadDir(l.path(p))
	if err != nil {
		l.skip(p, variable, err)
		return
	}
	for _, e := range entries {
		child := path.Join(p, e.Name())
		if isHash(e.Name()) || e.Type()&fs.ModeSymlink != 0 && l.linksToWalked(child) {
			continue
		}
		if isCert(child) {
			l.add(child, variable)
			continue
		}
		if depth < maxCertDepth && (e.IsDir() || e.Type()&fs.ModeSymlink != 0) {
			if info, err := os.Stat(l.path(child)); err == nil && info.IsDir() {
				l.dir(child, variable, depth+1)
			}
		}
	}
}

// linksToWalked reports whether a link leads into a directory that was read
// before: distributions fill /etc/ssl/certs with hundreds of such links.
func (l *loader) linksToWalked(p string) bool {
	target, err := os.Readlink(l.path(p))
	return err == nil && slices.ContainsFunc(l.walked, func(dir string) bool { return strings.HasPrefix(target, dir) })
}

func isCert(p string) bool {
	return slices.Contains([]string{".crt", ".pem", ".cer"}, strings.ToLower(path.Ext(p)))
}

// isHash reports whether a name is one of OpenSSL's links, such as 5ed36f99.0:
// the file they lead to lies beside them.
func isHash(name string) bool {
	const hashDigits = 8
	i := strings.IndexByte(name, '.')
	return i == hashDigits && strings.Trim(name[:i], "0123456789abcdef") == ""
}

// maxBundle bounds one file in bytes; the bundle of a distribution has 250 KiB.
const maxBundle = 16 << 20

func (l *loader) add(p, variable string) {
	file := l.path(p)
	if l.files[file] {
		return
	}
	l.files[file] = true
	text, err := read(file)
	if err != nil {
		l.skip(p, variable, err)
		return
	}
	l.parse(p, text)
}

// read reads a file; a directory named x.crt, or a pipe that would block, has no text.
func read(file string) ([]byte, error) {
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return nil, err
	}
	f, err := os.Open(file) //nolint:gosec // certificates that the administrator put or named there
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxBundle))
}

// parse adds what a file holds: PEM blocks, of which keys and other
// things are passed over, or one DER certificate as Windows exports it.
func (l *loader) parse(p string, text []byte) {
	found := false
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" || block.Type == "TRUSTED CERTIFICATE" {
			found = true
			l.certificate(p, block.Bytes, nil)
		}
	}
	if !found && len(text) > 0 && text[0] == 0x30 { // an ASN.1 sequence
		l.certificate(p, text, nil)
	}
}

// certificate adds one certificate. A chain that ends at it must keep to the
// constraint; nil is none.
func (l *loader) certificate(p string, der []byte, constraint func([]*x509.Certificate) error) {
	sum := sha256.Sum256(der)
	if l.seen[sum] {
		return
	}
	l.seen[sum] = true
	c, err := x509.ParseCertificate(der)
	if err != nil {
		l.log.Warn("certificate skipped", "path", p, "err", err)
		return
	}
	l.pool.AddCertWithConstraint(c, constraint)
}

// builtIn adds Mozilla's list with its constraints.
func (l *loader) builtIn() {
	for root := range bundle.Roots() {
		l.certificate("built in", root.Certificate, root.Constraint)
	}
}

// skip warns about a path that was named, or that exists and cannot be read.
func (l *loader) skip(p, variable string, err error) {
	if variable == quiet && errors.Is(err, fs.ErrNotExist) {
		return
	}
	l.log.Warn("certificates skipped", "path", p, "variable", variable, "err", err)
}
