#!/usr/bin/python3
"""The secret-handling functions, from the AST (libclang): reads every source of the library.

usage: extract.py [--list | --types | --callees] SOURCE...        (needs CFLAGS in the environment)

secret_types names what is secret: types, fields, files. A struct that holds a secret type by value
is secret, too, so a new one need not be remembered. A function is on the list if an expression or a
declaration in its signature or its body has such a type (or a pointer to it, or an array of it), if
it touches such a field, or if it stands in such a file.
"""
import json
import multiprocessing
import os
import shlex
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LAYERS = ("protocol/", "proto/", "transport/", "enclave-shim/", "daemon/")
LIBRARIES = {"secp256k1": "libsecp256k1", "sodium": "libsodium", "openssl": "OpenSSL"}


def read_table(name):
    """Lines `word word... | reason`; # starts a comment. A line without a reason is an error."""
    rows = []
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if not line.strip() or line.startswith("#"):
                continue
            words, bar, reason = line.partition("|")
            if not bar or not reason.strip():
                sys.exit(f"test/ctime/{name}:{number}: no reason after a |")
            rows.append((words.split(), reason.strip()))
    return rows


def own_path(location):
    """Path relative to the root if it is a file of the layers."""
    if location.file is None:
        return None
    path = os.path.relpath(os.path.join(ROOT, location.file.name), ROOT)
    return path if path.startswith(LAYERS) else None


def scan(source):
    """One translation unit: its structs, and its functions with the structs and fields they name."""
    from clang.cindex import CursorKind as K, Index, TranslationUnit, TypeKind as T

    args = shlex.split(os.environ.get("CFLAGS", "")) + ["-I.", "-std=c11", "-D_GNU_SOURCE"]
    tu = Index.create().parse(source, args=args, options=0)
    errors = [str(d) for d in tu.diagnostics if d.severity >= 3]
    if errors:
        return {"source": source, "errors": errors}

    keys = {}

    def struct_key(decl):
        """A tag in a .c file is that file's own, unless it has our prefix: then a header knows it, too."""
        usr = decl.get_usr()
        if usr not in keys:
            path = own_path(decl.location)
            name = decl.spelling
            if path and path.endswith(".c") and not name.startswith("qr_"):
                name = f"{path}:{name}"
            keys[usr] = name
        return keys[usr]

    def stripped(t, pointers):
        t = t.get_canonical()
        while True:
            if t.kind in (T.CONSTANTARRAY, T.INCOMPLETEARRAY, T.VARIABLEARRAY):
                t = t.element_type.get_canonical()
            elif pointers and t.kind == T.POINTER:
                t = t.get_pointee().get_canonical()
            else:
                break
        if t.kind != T.RECORD:
            return None
        d = t.get_declaration()
        return struct_key(d.get_definition() or d)

    structs, functions = {}, {}

    def see_struct(decl):
        if not decl.is_definition():
            return
        fields = structs.setdefault(struct_key(decl), {})
        for f in decl.get_children():
            if f.kind == K.FIELD_DECL:
                fields[f.spelling] = stripped(f.type, False)
            elif f.kind in (K.STRUCT_DECL, K.UNION_DECL):
                see_struct(f)

    def see_function(fn, path):
        types, fields, calls = set(), set(), {}

        def note(t):
            key = stripped(t, True)
            if key:
                types.add(key)

        for c in fn.walk_preorder():
            kind = c.kind
            if kind in (K.PARM_DECL, K.VAR_DECL, K.DECL_REF_EXPR, K.CALL_EXPR, K.FUNCTION_DECL):
                note(c.result_type if kind == K.FUNCTION_DECL else c.type)
            elif kind == K.MEMBER_REF_EXPR:
                note(c.type)
                f = c.referenced
                if f is not None and f.kind == K.FIELD_DECL:
                    fields.add(f"{struct_key(f.semantic_parent)}.{f.spelling}")
                    parent = f.semantic_parent
                    types.add(struct_key(parent))
            elif kind == K.TYPE_REF:
                note(c.type)
            elif kind == K.STRUCT_DECL:
                see_struct(c)
            if kind in (K.CALL_EXPR, K.DECL_REF_EXPR):
                r = c.referenced
                if r is not None and r.kind == K.FUNCTION_DECL and r.location.file is not None:
                    where = r.location.file.name
                    for word, library in LIBRARIES.items():
                        if f"/{word}" in where:
                            calls[r.spelling] = library
        functions[f"{path}:{fn.spelling}"] = {
            "lines": [fn.extent.start.line, fn.extent.end.line],
            "types": sorted(types),
            "fields": sorted(fields),
            "calls": calls,
        }

    for c in tu.cursor.get_children():
        path = own_path(c.location)
        if path is None:
            continue
        if c.kind in (K.STRUCT_DECL, K.UNION_DECL):
            see_struct(c)
        elif c.kind == K.FUNCTION_DECL and c.is_definition():
            see_function(c, path)
    return {"source": source, "structs": structs, "functions": functions}


def closure(structs, base):
    """base, and every struct that holds one of them by value."""
    secret = dict.fromkeys(base, "declared")
    grown = True
    while grown:
        grown = False
        for name, fields in structs.items():
            if name in secret:
                continue
            for field, key in fields.items():
                if key in secret:
                    secret[name] = f"holds {key} as {field}"
                    grown = True
                    break
    return secret


def extract(sources):
    """(functions on the list {key: {why, calls, lines}}, secret structs {name: why}, problems)."""
    structs, functions, problems = {}, {}, []
    with multiprocessing.Pool(min(2, os.cpu_count() or 1)) as pool:
        for r in pool.imap_unordered(scan, sources, chunksize=4):
            if "errors" in r:
                problems += [f"{r['source']}: {e}" for e in r["errors"]]
                continue
            for name, fields in r["structs"].items():
                structs.setdefault(name, {}).update(fields)
            functions.update(r["functions"])

    types, fields, files = {}, {}, {}
    for words, reason in read_table("secret_types"):
        table = {"type": types, "field": fields, "file": files}.get(words[0])
        if table is None or len(words) != 2:
            sys.exit(f"test/ctime/secret_types: `{' '.join(words)}` is neither type, field nor file")
        table[words[1]] = reason
    known_fields = {f"{s}.{f}" for s, names in structs.items() for f in names}
    paths = {key.rpartition(":")[0] for key in functions}
    for name in types:
        if name not in structs and name not in ("qr_aes",):
            problems.append(f"secret_types: there is no struct {name} any more")
    for name in fields:
        if name not in known_fields:
            problems.append(f"secret_types: there is no field {name} any more")
    for name in files:
        if name not in paths:
            problems.append(f"secret_types: there is no file {name} with functions any more")

    secret = closure(structs, types)
    listed = {}
    for key, f in functions.items():
        path = key.rpartition(":")[0]
        why = sorted(t for t in f["types"] if t in secret)
        why += sorted(x for x in f["fields"] if x in fields)
        if path in files:
            why.append(path)
        if why:
            listed[key] = {"why": why, "calls": f["calls"], "lines": f["lines"]}
    return listed, secret, problems


def main():
    mode = "--list"
    args = sys.argv[1:]
    if args and args[0].startswith("--"):
        mode = args.pop(0)
    if not args:
        sys.exit(__doc__)
    os.chdir(ROOT)
    listed, secret, problems = extract(args)
    if problems:
        sys.exit("\n".join(problems))
    if mode == "--types":
        for name in sorted(secret):
            print(f"{name}: {secret[name]}")
    elif mode == "--callees":
        seen = {}
        for key, f in listed.items():
            for name, library in f["calls"].items():
                seen.setdefault((library, name), []).append(key)
        for (library, name), users in sorted(seen.items()):
            print(f"{library} {name}: {len(users)}, {users[0]}")
    elif mode == "--json":
        json.dump(listed, sys.stdout)
    else:
        for key in sorted(listed):
            print(f"{key}: {', '.join(listed[key]['why'])}")


if __name__ == "__main__":
    main()
