package agent

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
)

// The headers that carry a signature.
const (
	signatureHeader = "X-Port-Signature"
	timestampHeader = "X-Port-Timestamp"
)

// sign returns the signature of a text at a time, in seconds since 1970, keyed with the
// whole client secret.
func sign(secret, timestamp string, text []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp))
	mac.Write([]byte{'.'})
	mac.Write(text)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// errUnsigned is a message that Port has not signed with this client's secret.
var errUnsigned = errors.New("the signature is missing or wrong: the message is not from Port, or was signed for another client secret")

// verify checks the signature of a message and removes it, so that what is passed on
// does not have it. For GITLAB runs no header is covered,
// and all are removed.
func verify(m *object, kind, secret string) error {
	signature, timestamp := text(get(m, "headers", signatureHeader)), text(get(m, "headers", timestampHeader))
	headers, ok := get(m, "headers").(*object)
	if !ok || !truthy(get(headers, signatureHeader)) || !truthy(get(headers, timestampHeader)) {
		return errUnsigned
	}
	if kind == typeGitLab {
		m.remove("headers")
	} else {
		headers.remove(signatureHeader)
		headers.remove(timestampHeader)
	}
	want := sign(secret, timestamp, appendJSON(nil, m, readable))
	if !hmac.Equal([]byte(signature), []byte(want)) {
		return errUnsigned
	}
	return nil
}
