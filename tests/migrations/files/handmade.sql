--
-- PostgreSQL database dump
--

\restrict 0qMitpWlErKeCE93SELCEHAQSjabfI2bneNW2b3DUeQmTUKDygrkhHvJHyHTgrh

-- Dumped from database version 18.4
-- Dumped by pg_dump version 18.4

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: training_runs; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.training_runs (
    run_id text NOT NULL,
    wandb_run_id text,
    wandb_url text,
    run_name text,
    chain_of_custody_id text,
    host text,
    instance_id text,
    created_at timestamp without time zone NOT NULL,
    started_at timestamp without time zone,
    ended_at timestamp without time zone,
    duration_seconds real,
    status text DEFAULT 'launched'::text,
    batch_size integer,
    learning_rate real,
    beta real,
    gradient_method text,
    num_gpus integer,
    num_objectives integer,
    config_json text NOT NULL,
    final_metrics_json text,
    reviewer text
);


--
-- Data for Name: training_runs; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.training_runs VALUES ('plain', 'w0', NULL, NULL, NULL, 'node-1', NULL, '2024-05-06 07:08:09.123456', NULL, NULL, NULL, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, '{"lr": 0.0001, "max_steps": 100, "objectives": ["QED_maximize", "SA"]}', '{"loss": 0.5, "_step": 99, "objectives/QED_maximize/raw_mean": 0.7, "x": Infinity}', NULL);
INSERT INTO public.training_runs VALUES ('nan', 'w1', NULL, NULL, NULL, 'node-1', NULL, '2024-05-06 05:08:09.123456', NULL, NULL, NULL, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, '{"lr": NaN, "batch_size": "auto"}', NULL, NULL);
INSERT INTO public.training_runs VALUES ('broken', 'w2', NULL, NULL, NULL, 'node-1', NULL, '2024-05-06 07:08:09.123456', NULL, NULL, NULL, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, '{"lr": ', NULL, NULL);
INSERT INTO public.training_runs VALUES ('list', 'w3', NULL, NULL, NULL, 'node-1', NULL, '2024-05-06 05:08:09.123456', NULL, NULL, NULL, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, '[1, 2]', NULL, NULL);
INSERT INTO public.training_runs VALUES ('none', 'w4', NULL, NULL, NULL, 'node-1', NULL, '2024-05-06 07:08:09.123456', NULL, NULL, NULL, 'completed', NULL, NULL, NULL, NULL, NULL, NULL, '', NULL, NULL);


--
-- Name: training_runs training_runs_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.training_runs
    ADD CONSTRAINT training_runs_pkey PRIMARY KEY (run_id);


--
-- Name: training_runs training_runs_wandb_run_id_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.training_runs
    ADD CONSTRAINT training_runs_wandb_run_id_key UNIQUE (wandb_run_id);


--
-- PostgreSQL database dump complete
--

\unrestrict 0qMitpWlErKeCE93SELCEHAQSjabfI2bneNW2b3DUeQmTUKDygrkhHvJHyHTgrh

