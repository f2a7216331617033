//! What stands in for WASI preview 1 when a component is made of a core module that imports it (Go, C).
//!
//! A plugin has no files, sockets, environment or arguments, and its clock and its random numbers are made up, so that a replay
//! gives the same output. The languages' own libraries import WASI all the same; this adapter answers them, and imports
//! nothing itself but the plugin's log:
//!
//! | asked for                  | answer                                                                                      |
//! |----------------------------|---------------------------------------------------------------------------------------------|
//! | arguments, environment     | none                                                                                        |
//! | a file, a socket           | an errno, and a line in the log that names the capability and the call                      |
//! | standard input             | at its end                                                                                  |
//! | standard output and error  | lines in the log, each whole ([`line`])                                                     |
//! | the clock                  | starts at [`CLOCK_START_NS`] on every instance and moves by [`CLOCK_STEP_NS`] with each look |
//! | to sleep                   | returns at once: the clock has moved as far                                                 |
//! | random bytes               | the same sequence on every instance ([`RANDOM_SEED`]): none of it is fit for cryptography   |
//! | to exit                    | the last output, the status as a line in the log, and a trap                                |
//!
//! `wit-component` takes an adapter without data, tables and memory of its own; it works in the plugin's memory and leaves it as
//! it was. What is kept between calls is kept in globals.

mod calls;
mod line;

use anyhow::Context;
use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, EntityType, ExportKind, ExportSection, Function, FunctionSection, GlobalSection,
    GlobalType, ImportSection, MemArg, MemoryType, Module, TypeSection, ValType,
};

/// What the importing module calls it.
pub(crate) const ADAPTER_NAME: &str = "wasi_snapshot_preview1";

/// The clock of a new instance, in nanoseconds since the Unix epoch: 2000-01-01. Go refuses a clock at zero.
const CLOCK_START_NS: i64 = 946_684_800_000_000_000;

/// How far a look at the clock moves it, in nanoseconds.
const CLOCK_STEP_NS: i64 = 1_000;

/// Where the random numbers of a new instance begin: a counter, mixed as SplitMix64 does.
const RANDOM_SEED: i64 = 0x7761_736d_696c_6c00; // "wasmill"

/// The functions at the beginning of the index space; the calls follow.
const LOG: u32 = 0;
const EXCHANGE: u32 = 1;
const CHARACTER: u32 = 2;
const FLUSH: u32 = 3;
const SETTLE: u32 = 4;
const WRITE: u32 = 5;
const RANDOM: u32 = 6;

/// The globals at the beginning; the words of the line follow.
const NOW: u32 = 0;
const RANDOM_STATE: u32 = 1;
const STREAM: u32 = 2;
const LENGTH: u32 = 3;
const TRACED: u32 = 4;
const FIRST_WORD: u32 = 5;

/// The adapter, to be given to `wit_component::ComponentEncoder::adapter` under [`ADAPTER_NAME`].
///
/// # Errors
/// None but a defect of this module, which its tests would find.
pub(crate) fn adapter() -> anyhow::Result<Vec<u8>> {
    let mut module = module().finish();
    let mut resolve = wit_parser::Resolve::default();
    let boundary = include_str!("../../../../wit/wasmill.wit");
    let text = format!("{boundary}\nworld wasi-stub {{ import logging; }}\n");
    let package = resolve.push_source("wasi-stub.wit", &text).context("the boundary of the WASI stub")?;
    let world = resolve.select_world(&[package], Some("wasi-stub"))?;
    wit_component::embed_component_metadata(&mut module, &resolve, world, wit_component::StringEncoding::UTF8)?;
    Ok(module)
}

/// A function's parameters and result. A call of WASI has integers only, and returns an errno or nothing.
struct Signature {
    parameters: Vec<ValType>,
    results: Vec<ValType>,
}

impl Signature {
    /// `i` is 32 bits and `I` 64; what follows `>` is the result.
    fn of(text: &str) -> Signature {
        let (parameters, results) = text.split_once('>').unwrap_or((text, ""));
        let types = |it: &str| it.chars().map(|it| if it == 'I' { ValType::I64 } else { ValType::I32 }).collect();
        Signature { parameters: types(parameters), results: types(results) }
    }
}

/// The core module.
fn module() -> Module {
    let mut parts = Parts::default();
    parts.import();
    parts.globals();
    for (signature, body) in line::functions() {
        parts.function(signature, &body);
    }
    parts.function(">I", &calls::random());
    for call in calls::calls() {
        let index = parts.function(call.signature, &call.body);
        parts.exports.export(call.name, ExportKind::Func, index);
    }
    parts.finish()
}

#[derive(Default)]
struct Parts {
    types: TypeSection,
    imports: ImportSection,
    functions: FunctionSection,
    globals: GlobalSection,
    exports: ExportSection,
    code: CodeSection,
}

impl Parts {
    fn import(&mut self) {
        let log = self.signature("iiiii");
        let package = "wasmill:plugin/logging@0.1.0";
        self.imports.import(package, "log", EntityType::Function(log));
        let memory = MemoryType { minimum: 0, maximum: None, memory64: false, shared: false, page_size_log2: None };
        self.imports.import("env", "memory", EntityType::Memory(memory));
    }

    fn globals(&mut self) {
        let global = |val_type| GlobalType { val_type, mutable: true, shared: false };
        self.globals.global(global(ValType::I64), &ConstExpr::i64_const(CLOCK_START_NS));
        self.globals.global(global(ValType::I64), &ConstExpr::i64_const(RANDOM_SEED));
        for _ in [STREAM, LENGTH, TRACED] {
            self.globals.global(global(ValType::I32), &ConstExpr::i32_const(0));
        }
        for _ in 0..line::WORDS {
            self.globals.global(global(ValType::I64), &ConstExpr::i64_const(0));
        }
    }

    fn signature(&mut self, text: &str) -> u32 {
        let signature = Signature::of(text);
        self.types.ty().function(signature.parameters, signature.results);
        self.types.len() - 1
    }

    /// The index of the function, imports counted.
    fn function(&mut self, signature: &str, body: &Function) -> u32 {
        let signature = self.signature(signature);
        self.functions.function(signature);
        self.code.function(body);
        LOG + self.functions.len()
    }

    fn finish(self) -> Module {
        let mut module = Module::new();
        module.section(&self.types).section(&self.imports).section(&self.functions).section(&self.globals);
        module.section(&self.exports).section(&self.code);
        module
    }
}

/// An access `offset` bytes past the address, of any alignment.
fn at(offset: u32) -> MemArg {
    MemArg { offset: u64::from(offset), align: 0, memory_index: 0 }
}

/// A block that leaves nothing behind.
const PLAIN: BlockType = BlockType::Empty;

#[cfg(test)]
mod tests;
