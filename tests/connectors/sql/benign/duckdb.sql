SELECT * FROM customers
SELECT id, name FROM customers ORDER BY name DESC
SELECT DISTINCT status FROM orders
SELECT count(*) FROM orders
SELECT count(DISTINCT customer_id) AS buyers FROM orders
SELECT status, count(*) AS n, sum(amount) AS total FROM orders GROUP BY status ORDER BY total DESC
SELECT status, avg(amount) AS mean FROM orders GROUP BY status HAVING count(*) > 1
SELECT c.name, sum(o.amount) AS total FROM customers c JOIN orders o ON o.customer_id = c.id GROUP BY c.name ORDER BY total DESC LIMIT 5
SELECT c.name, o.id FROM customers AS c LEFT JOIN orders AS o ON o.customer_id = c.id AND o.status = 'paid'
SELECT name FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE amount > 10)
SELECT name FROM customers c WHERE EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id)
SELECT name FROM customers WHERE name LIKE 'Z%' OR name LIKE '%''%'
SELECT name FROM customers WHERE country IS NULL OR vip IS NOT NULL
SELECT id, CASE WHEN amount > 50 THEN 'large' WHEN amount > 1 THEN 'small' ELSE 'tiny' END AS size FROM orders
SELECT id FROM orders WHERE amount BETWEEN 1 AND 50 AND NOT status = 'void'
SELECT id FROM orders UNION SELECT order_id FROM items
SELECT id FROM orders UNION ALL SELECT order_id FROM items ORDER BY 1
SELECT id FROM orders EXCEPT SELECT order_id FROM items
SELECT id FROM orders INTERSECT SELECT order_id FROM items
WITH paid AS (SELECT * FROM orders WHERE status = 'paid') SELECT count(*) FROM paid
WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT * FROM a, b
WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 10) SELECT sum(x) FROM c
SELECT id, row_number() OVER (PARTITION BY customer_id ORDER BY amount DESC) AS place FROM orders
SELECT id, sum(amount) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS running FROM orders
SELECT id, amount - lag(amount) OVER (ORDER BY id) AS step FROM orders
SELECT id, rank() OVER w AS r FROM orders WINDOW w AS (ORDER BY amount)
SELECT coalesce(note, 'none') AS note, nullif(status, 'open') AS s FROM orders
SELECT upper(name), lower(name), length(name), trim(name) FROM customers
SELECT round(avg(amount), 2) AS mean, min(amount), max(amount) FROM orders
SELECT product, sum(qty * price) AS revenue FROM items GROUP BY product
SELECT * FROM (SELECT status, count(*) AS n FROM orders GROUP BY status) t WHERE n > 1
SELECT a.id, b.id FROM orders a CROSS JOIN orders b WHERE a.id < b.id
SELECT 'DROP TABLE orders; -- not really' AS joke, 'INSERT INTO x' AS other
SELECT id AS "update", status AS "delete" FROM orders
SELECT /* the paid ones */ id FROM orders -- and nothing else
FROM orders
FROM orders SELECT status, count(*) GROUP BY ALL
SELECT date_trunc('month', placed) AS m, sum(amount) FROM orders GROUP BY ALL ORDER BY ALL
SELECT * EXCLUDE (note) FROM orders
SELECT * REPLACE (upper(status) AS status) FROM orders
SELECT COLUMNS('a.*') FROM orders
SUMMARIZE orders
DESCRIBE orders
DESCRIBE SELECT * FROM orders
SHOW TABLES
PIVOT orders ON status IN ('paid', 'open') USING sum(amount)
SELECT list(name ORDER BY name) FROM customers
SELECT unnest([1, 2, 3]) AS x
SELECT quantile_cont(amount, 0.5), median(amount), mode(status) FROM orders
SELECT id FROM orders QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY amount DESC) = 1
SELECT strftime(placed, '%Y-%m') AS m, count(*) FROM orders GROUP BY 1
SELECT regexp_extract(name, '(\w+)', 1) FROM customers
SELECT range AS n FROM range(5)
EXPLAIN SELECT * FROM orders
SELECT status, count(*) FILTER (WHERE amount > 10) FROM orders GROUP BY ROLLUP (status)
SELECT o.amount::INTEGER, placed + INTERVAL 1 DAY FROM orders o
SELECT arg_max(id, amount), string_agg(status, ',') FROM orders
SELECT * FROM customers c ASOF JOIN orders o ON c.id = o.customer_id AND c.created <= o.placed
SELECT struct_pack(a := 1, b := 'x') AS s
